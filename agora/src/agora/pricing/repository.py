"""Pricing's SQL."""

from collections.abc import Sequence
from datetime import date, datetime

from agora.pricing.domain.campaign import Campaign, Redemption
from agora.pricing.domain.promotions import Promotion
from agora.pricing.terms import from_json, to_json
from tricorn.data import Connection, Database, Record, Together, asked

_CAMPAIGN = """
    promotion_id, name, exclusivity_group, coupon_code, terms, start_time, end_time,
    redemption_limit, redemption_limit_per_user, redemptions
"""

# One statement for everything a product page needs: the daily counters of at most 28 days a product, by primary key.
_DEMAND = f"""
SELECT n, recent, usual, (SELECT spent_minor_units FROM customer WHERE customer.user_id = asked.user_id) AS spent
FROM {asked("product_id uuid, recent_from date, usual_from date, today date, user_id uuid")}
CROSS JOIN LATERAL (
    SELECT coalesce(sum(units) FILTER (WHERE day >= recent_from), 0)::bigint AS recent, coalesce(sum(units), 0)::bigint AS usual
    FROM demand_day WHERE demand_day.product_id = asked.product_id AND day BETWEEN usual_from AND today
) AS counted
"""

_HISTORY = """
SELECT asked.product_id::text, day, units, revenue_minor_units
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (product_id, position)
JOIN demand_day ON demand_day.product_id = asked.product_id AND units > 0 AND ($2::date IS NULL OR day >= $2)
ORDER BY position, day
"""

# Customers and products in the order of their ids, so that two batches lock the same rows in the same order.
_COUNT_ORDERS = """
WITH counted AS (
    INSERT INTO counted_order (order_id, user_id, day, spent_minor_units)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::bigint[]) ON CONFLICT DO NOTHING
    RETURNING order_id, user_id, day, spent_minor_units
), spending AS (
    INSERT INTO customer AS old (user_id, spent_minor_units)
    SELECT user_id, sum(spent_minor_units) FROM counted GROUP BY user_id ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE SET spent_minor_units = old.spent_minor_units + excluded.spent_minor_units
)
INSERT INTO demand_day AS old (product_id, day, units, revenue_minor_units)
SELECT product_id, day, sum(units), sum(revenue)
FROM counted JOIN unnest($5::uuid[], $6::uuid[], $7::bigint[], $8::bigint[]) AS line (order_id, product_id, units, revenue)
    USING (order_id)
GROUP BY product_id, day ORDER BY product_id, day
ON CONFLICT (product_id, day) DO UPDATE
    SET units = old.units + excluded.units, revenue_minor_units = old.revenue_minor_units + excluded.revenue_minor_units
"""

_TAKE_DEMAND = """
WITH line AS (
    SELECT product_id, sum(units) AS units, sum(revenue) AS revenue
    FROM unnest($1::uuid[], $3::bigint[], $4::bigint[]) AS line (product_id, units, revenue) GROUP BY product_id
), locked AS MATERIALIZED (
    SELECT product_id FROM demand_day WHERE day = $2 AND product_id = ANY ($1::uuid[]) ORDER BY product_id FOR UPDATE
)
UPDATE demand_day SET units = demand_day.units - line.units, revenue_minor_units = revenue_minor_units - line.revenue
FROM line JOIN locked USING (product_id) WHERE demand_day.product_id = line.product_id AND day = $2
"""

_REDEEM = """
UPDATE promotion SET redemptions = redemptions + 1
WHERE coupon_code = $1 AND (start_time IS NULL OR start_time <= $2) AND (end_time IS NULL OR $2 < end_time)
    AND (redemption_limit = 0 OR redemptions < redemption_limit)
RETURNING promotion_id, redemption_limit_per_user
"""

_REDEEM_FOR_USER = """
INSERT INTO coupon_use AS old (promotion_id, user_id, uses) VALUES ($1, $2, 1)
ON CONFLICT (promotion_id, user_id) DO UPDATE SET uses = old.uses + 1 WHERE $3 = 0 OR old.uses < $3
RETURNING uses
"""

_TAKE_BACK = """
WITH given AS (
    UPDATE promotion SET redemptions = redemptions - 1 WHERE coupon_code = $1 RETURNING promotion_id
)
UPDATE coupon_use SET uses = uses - 1 FROM given WHERE coupon_use.promotion_id = given.promotion_id AND user_id = $2
"""


class Demands:
    """Reads demand, and what a customer has spent; who asks at the same time shares a statement."""

    def __init__(self, database: Database) -> None:
        self._read = Together(database, _DEMAND, key=None)

    async def __call__(
        self, product_ids: Sequence[str], recent_from: date, usual_from: date, today: date, user_id: str | None
    ) -> tuple[list[tuple[int, int]], int]:
        """(recent units, usual units) of products, at least one, in the order asked for, and what the customer has spent."""
        rows = await self._read.each((each, recent_from, usual_from, today, user_id) for each in product_ids)
        found = [row for row in rows if row is not None]
        return [(row["recent"], row["usual"]) for row in found], found[0]["spent"] or 0


class PromotionsRepository:
    """On a transaction for what changes, on the database itself for what only reads."""

    def __init__(self, connection: Connection | Database) -> None:
        self._connection = connection

    async def campaigns(self) -> list[Campaign]:
        """All, by promotion id."""
        rows = await self._connection.fetch(f"SELECT {_CAMPAIGN} FROM promotion ORDER BY promotion_id")
        return [_campaign(row) for row in rows]

    async def campaign(self, promotion_id: str) -> Campaign | None:
        row = await self._connection.fetchrow(
            f"SELECT {_CAMPAIGN} FROM promotion WHERE promotion_id = $1", promotion_id
        )
        return _campaign(row) if row else None

    async def add_campaign(self, campaign: Campaign) -> bool:
        """False: its id or its coupon's code is taken."""
        promotion = campaign.promotion
        added = await self._connection.fetchval(
            f"INSERT INTO promotion ({_CAMPAIGN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)"
            " ON CONFLICT DO NOTHING RETURNING true",
            promotion.promotion_id,
            promotion.name,
            promotion.exclusivity_group,
            promotion.coupon_code,
            to_json(promotion.terms),
            campaign.start_time,
            campaign.end_time,
            campaign.redemption_limit,
            campaign.redemption_limit_per_user,
        )
        return bool(added)

    async def coupons(self, codes: Sequence[str], user_id: str | None) -> list[tuple[Campaign, int]]:
        """The campaigns of these coupons, with how often the customer has redeemed each."""
        rows = await self._connection.fetch(
            f"""
            SELECT {_CAMPAIGN}, coalesce((
                SELECT uses FROM coupon_use WHERE promotion_id = promotion.promotion_id AND user_id = $2::uuid
            ), 0) AS uses
            FROM promotion WHERE coupon_code = ANY ($1::text[]) AND coupon_code <> ''
            """,
            codes,
            user_id,
        )
        return [(_campaign(row), row["uses"]) for row in rows]

    async def claim_key(self, key: str, user_id: str, codes: Sequence[str]) -> bool:
        """False: the key was used before. Waits for whoever is using it right now."""
        claimed = await self._connection.fetchval(
            "INSERT INTO redemption (key, user_id, coupon_codes) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING RETURNING true",
            key,
            user_id,
            codes,
        )
        return bool(claimed)

    async def redemption(self, key: str) -> Redemption | None:
        row = await self._connection.fetchrow(
            "SELECT user_id::text, coupon_codes, released_at IS NOT NULL AS released FROM redemption WHERE key = $1",
            key,
        )
        return Redemption(row["user_id"], tuple(row["coupon_codes"]), row["released"]) if row else None

    async def redeem(self, code: str, user_id: str, now: datetime) -> bool:
        """Counts one use, if the coupon holds now and neither limit is reached; the row stays locked to the end."""
        row = await self._connection.fetchrow(_REDEEM, code, now)
        if row is None:
            return False
        promotion_id, limit = row
        return bool(await self._connection.fetchval(_REDEEM_FOR_USER, promotion_id, user_id, limit))

    async def release_key(self, key: str, now: datetime) -> Redemption | None:
        """Marks a key as released, one never used too. Returns what it was used for; None when released before."""
        row = await self._connection.fetchrow(
            """
            INSERT INTO redemption AS old (key, coupon_codes, released_at) VALUES ($1, '{}', $2)
            ON CONFLICT (key) DO UPDATE SET released_at = $2 WHERE old.released_at IS NULL
            RETURNING user_id::text, coupon_codes
            """,
            key,
            now,
        )
        return Redemption(row["user_id"], tuple(row["coupon_codes"]), released=True) if row else None

    async def take_back(self, code: str, user_id: str) -> None:
        await self._connection.execute(_TAKE_BACK, code, user_id)

    async def spent(self, user_id: str) -> int:
        return (
            await self._connection.fetchval("SELECT spent_minor_units FROM customer WHERE user_id = $1", user_id) or 0
        )

    async def history(self, product_ids: Sequence[str], since: date | None) -> list[tuple[str, date, int, int]]:
        """(product, day, units, revenue) of days with sales, in the order asked for, then by day."""
        return [tuple(row) for row in await self._connection.fetch(_HISTORY, product_ids, since)]

    async def count_orders(self, orders: Sequence[tuple[str, str, date, int, Sequence[tuple[str, int, int]]]]) -> None:
        """Counts orders (id, user, day, spent, sales) into demand, from (product, units, revenue), and into spending; each once."""
        each_once = list({order[0]: order for order in reversed(orders)}.values())
        lines = [(order[0], *sale) for order in each_once for sale in order[4]]
        await self._connection.execute(
            _COUNT_ORDERS,
            [order[0] for order in each_once],
            [order[1] for order in each_once],
            [order[2] for order in each_once],
            [order[3] for order in each_once],
            [line[0] for line in lines],
            [line[1] for line in lines],
            [line[2] for line in lines],
            [line[3] for line in lines],
        )

    async def uncount_order(self, order_id: str) -> tuple[str, date, int] | None:
        """(user, day, spent) of an order that was counted and is so no longer; None when there was none."""
        row = await self._connection.fetchrow(
            "UPDATE counted_order SET cancelled = true WHERE order_id = $1 AND NOT cancelled"
            " RETURNING user_id::text, day, spent_minor_units",
            order_id,
        )
        return (row[0], row[1], row[2]) if row else None

    async def take_spending(self, user_id: str, minor_units: int) -> None:
        await self._connection.execute(
            "UPDATE customer SET spent_minor_units = spent_minor_units - $2 WHERE user_id = $1", user_id, minor_units
        )

    async def take_demand(self, day: date, sales: Sequence[tuple[str, int, int]]) -> None:
        await self._connection.execute(_TAKE_DEMAND, *_sales(day, sales))


def _sales(day: date, sales: Sequence[tuple[str, int, int]]) -> tuple[list[str], date, list[int], list[int]]:
    return [sale[0] for sale in sales], day, [sale[1] for sale in sales], [sale[2] for sale in sales]


def _campaign(row: Record) -> Campaign:
    return Campaign(
        Promotion(
            row["promotion_id"], from_json(row["terms"]), row["exclusivity_group"], row["coupon_code"], row["name"]
        ),
        row["start_time"],
        row["end_time"],
        row["redemption_limit"],
        row["redemption_limit_per_user"],
        row["redemptions"],
    )
