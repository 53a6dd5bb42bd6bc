"""The rivals' SQL, one statement for each thing that they do; parameters as ``:name``."""

import re
from collections.abc import Mapping
from typing import Any

ME = "SELECT user_id::text, email, display_name, roles, version, create_time, update_time FROM users WHERE user_id = :user_id"

RENAME = """
UPDATE users SET display_name = :display_name, version = version + 1, update_time = now() WHERE user_id = :user_id
RETURNING user_id::text, email, display_name, roles, version, create_time, update_time
"""

REGISTER = """
INSERT INTO users (user_id, email, password, display_name) VALUES (:user_id, :email, :password, :display_name)
ON CONFLICT DO NOTHING
RETURNING user_id::text, email, display_name, roles, version, create_time, update_time
"""

CREDENTIALS = "SELECT user_id::text, password, roles FROM users WHERE lower(email) = lower(:email)"

# Everything that a page of products needs, by primary keys: details, stock by warehouse, demand of 28 days, spending.
PRODUCTS = """
SELECT product_id::text, seller_id::text, title, description, category_ids::text[] AS category_ids, base_price, release_year,
    version, create_time, update_time, stock.available, stock.warehouse_ids, stock.amounts, demand.recent, demand.usual,
    (SELECT spent FROM customer WHERE user_id = CAST(:user_id AS uuid)) AS spent
FROM product
CROSS JOIN LATERAL (
    SELECT coalesce(sum(available), 0)::integer AS available,
        coalesce(array_agg(warehouse_id::text ORDER BY warehouse_id), '{}') AS warehouse_ids,
        coalesce(array_agg(available ORDER BY warehouse_id), '{}') AS amounts
    FROM stock WHERE stock.product_id = product.product_id
) AS stock
CROSS JOIN LATERAL (
    SELECT coalesce(sum(units) FILTER (WHERE day > current_date - 7), 0)::bigint AS recent,
        coalesce(sum(units), 0)::bigint AS usual
    FROM demand_day WHERE demand_day.product_id = product.product_id AND day > current_date - 28
) AS demand
WHERE product_id = ANY (CAST(:product_ids AS uuid[]))
"""

SEARCH = """
SELECT product_id::text FROM product
WHERE CAST(:words AS text) IS NULL OR search @@ to_tsquery('simple', CAST(:words AS text))
ORDER BY title, product_id LIMIT :page_size
"""

TAKE_KEY = """
INSERT INTO answered (user_id, key, fingerprint) VALUES (:user_id, :key, :fingerprint) ON CONFLICT DO NOTHING RETURNING 1
"""

KEPT = "SELECT fingerprint, status, answer FROM answered WHERE user_id = :user_id AND key = :key"

REFUSE = "UPDATE answered SET status = :status, answer = :answer WHERE user_id = :user_id AND key = :key"

# In the order of ids, so that two orders never wait for each other.
LOCK_STOCK = """
SELECT product_id::text, warehouse_id::text, available FROM stock WHERE product_id = ANY (CAST(:product_ids AS uuid[]))
ORDER BY product_id, warehouse_id FOR UPDATE
"""

# All that placing an order writes, in one round trip.
PLACE = """
WITH stocked AS (
    UPDATE stock SET available = available - taken.quantity
    FROM unnest(CAST(:stock_products AS uuid[]), CAST(:stock_warehouses AS uuid[]), CAST(:stock_quantities AS integer[]))
        AS taken (product_id, warehouse_id, quantity)
    WHERE stock.product_id = taken.product_id AND stock.warehouse_id = taken.warehouse_id
), spending AS (
    INSERT INTO customer AS old (user_id, spent) VALUES (:user_id, :total)
    ON CONFLICT (user_id) DO UPDATE SET spent = old.spent + excluded.spent
), demanded AS (
    INSERT INTO demand_day AS old (product_id, day, units, revenue)
    SELECT product_id, current_date, units, revenue
    FROM unnest(CAST(:line_products AS uuid[]), CAST(:line_units AS bigint[]), CAST(:line_revenues AS bigint[]))
        AS line (product_id, units, revenue) ORDER BY product_id
    ON CONFLICT (product_id, day) DO UPDATE SET units = old.units + excluded.units, revenue = old.revenue + excluded.revenue
), booked AS (
    INSERT INTO ledger_entry (payment_id, account, minor_units)
    VALUES (:payment_id, 'acquirer', :total), (:payment_id, 'sales', - CAST(:total AS bigint))
), kept AS (
    UPDATE answered SET status = 201, answer = :answer WHERE user_id = :user_id AND key = :key
)
INSERT INTO orders (order_id, user_id, state, lines, taken, total, payment_method, payment_id, create_time, update_time)
VALUES (:order_id, :user_id, 'STATE_COMPLETED', CAST(:lines AS jsonb), CAST(:taken AS jsonb), :total, :payment_method,
    :payment_id, :now, :now)
"""

_ORDER = """
order_id::text, user_id::text, state, lines::text, taken::text, total, payment_method, payment_id::text, version, create_time,
update_time
"""

ORDER = f"SELECT {_ORDER} FROM orders WHERE order_id = :order_id AND user_id = :user_id"

LOCK_ORDER = f"{ORDER} FOR UPDATE"

ORDERS = f"SELECT {_ORDER} FROM orders WHERE user_id = :user_id ORDER BY create_time DESC LIMIT 50"

CANCEL = f"""
WITH stocked AS (
    UPDATE stock SET available = available + back.quantity
    FROM unnest(CAST(:stock_products AS uuid[]), CAST(:stock_warehouses AS uuid[]), CAST(:stock_quantities AS integer[]))
        AS back (product_id, warehouse_id, quantity)
    WHERE stock.product_id = back.product_id AND stock.warehouse_id = back.warehouse_id
), spending AS (
    UPDATE customer SET spent = spent - :total WHERE user_id = :user_id
), booked AS (
    INSERT INTO ledger_entry (payment_id, account, minor_units)
    VALUES (:payment_id, 'acquirer', - CAST(:total AS bigint)), (:payment_id, 'sales', :total)
)
UPDATE orders SET state = 'STATE_CANCELLED', version = version + 1, update_time = now() WHERE order_id = :order_id
RETURNING {_ORDER}
"""

FIGURES = """
SELECT (SELECT count(*) FROM product) AS products, (SELECT count(*) FROM category) AS categories,
    (SELECT count(DISTINCT seller_id) FROM product) AS sellers, count(*) AS orders,
    count(*) FILTER (WHERE state = 'STATE_COMPLETED') AS confirmed_orders,
    coalesce(sum(total) FILTER (WHERE state = 'STATE_COMPLETED'), 0)::bigint AS revenue
FROM orders
"""

SIGNING_KEY = "SELECT kid, private_pem FROM signing_key"

_PARAMETER = re.compile(r"(?<!:):([a-z_]+)")


class Numbered:
    """A statement with ``$1`` for its parameters, as PostgreSQL itself has them, and their values in that order."""

    def __init__(self, statement: str) -> None:
        self._names: list[str] = []
        self.text = _PARAMETER.sub(self._number, statement)

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        return [given[name] for name in self._names]

    def _number(self, found: re.Match[str]) -> str:
        if found[1] not in self._names:
            self._names.append(found[1])
        return f"${self._names.index(found[1]) + 1}"
