"""Inventory's SQL.

Every change is one statement, and so one transaction and one round trip. All of them lock stock rows first, in the
order of their ids, and a reservation's row only then: two of them can wait for each other, but never in a circle.
PostgreSQL's clock decides what has expired.
"""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from agora.inventory.domain import Allocation, Delivery, Line, Reservation, Shortage, State, Warehouse
from tricorn.data import Connection, Database, Record

# Most available first, then the lower id. Whoever waited for a row's lock sees the row as it is after the wait, in
# `locked`; the UPDATE writes what follows from that alone, since PostgreSQL checks constraints first of all on what would
# follow from the row as it was before the wait.
_RESERVE = """
WITH wanted AS (
    SELECT * FROM unnest($3::uuid[], $4::int[]) WITH ORDINALITY AS line (product_id, quantity, number)
), locked AS MATERIALIZED (
    SELECT product_id, warehouse_id, received, available, held, sold FROM stock
    WHERE product_id = ANY ($3::uuid[]) AND NOT EXISTS (SELECT FROM reservation WHERE key = $2)
    ORDER BY product_id, warehouse_id FOR UPDATE
), offered AS (
    SELECT number, product_id, warehouse_id, quantity, available,
        sum(available) OVER (PARTITION BY number ORDER BY available DESC, warehouse_id) - available AS before
    FROM wanted JOIN locked USING (product_id)
), taken AS MATERIALIZED (
    SELECT number, before, product_id, warehouse_id, least(available, quantity - before)::int AS quantity
    FROM offered WHERE before < quantity AND available > 0
), created AS (
    INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
    SELECT $1, $2, 'HELD', array_agg(product_id ORDER BY number, before),
        array_agg(warehouse_id ORDER BY number, before), array_agg(quantity ORDER BY number, before),
        clock_timestamp() + $5
    FROM taken HAVING sum(quantity) = (SELECT sum(quantity) FROM wanted)
    RETURNING reservation_id, state, product_ids, warehouse_ids, quantities, expire_time
), moved AS (
    UPDATE stock SET received = locked.received, available = locked.available - taken.quantity,
        held = locked.held + taken.quantity, sold = locked.sold
    FROM created, taken JOIN locked USING (product_id, warehouse_id)
    WHERE (stock.product_id, stock.warehouse_id) = (taken.product_id, taken.warehouse_id)
), short AS (
    SELECT product_id, wanted.quantity AS requested, coalesce(sum(taken.quantity), 0) AS available
    FROM wanted LEFT JOIN taken USING (number, product_id)
    GROUP BY number, product_id, wanted.quantity HAVING coalesce(sum(taken.quantity), 0) < wanted.quantity
    ORDER BY number LIMIT 1
)
SELECT created.*, false AS overdue, short.product_id AS short_product_id, short.requested, short.available
FROM (VALUES (1)) AS always LEFT JOIN created ON true LEFT JOIN short ON true
"""

# Stock is locked before the reservation; the reservation's state is judged only when all of its stock is locked.
_SETTLE = """
WITH claim AS MATERIALIZED (
    SELECT allocation.* FROM reservation,
        unnest(product_ids, warehouse_ids, quantities) AS allocation (product_id, warehouse_id, quantity)
    WHERE reservation_id = $1 AND state = 'HELD'
), locked AS MATERIALIZED (
    SELECT stock.product_id, stock.warehouse_id, claim.quantity
    FROM stock JOIN claim USING (product_id, warehouse_id)
    ORDER BY stock.product_id, stock.warehouse_id FOR UPDATE OF stock
), settled AS (
    UPDATE reservation SET state = '{state}', update_time = clock_timestamp()
    WHERE reservation_id = $1 AND state = 'HELD' AND (SELECT count(*) FROM locked) > 0 {condition}
    RETURNING reservation_id, state, product_ids, warehouse_ids, quantities, expire_time
), moved AS (
    UPDATE stock SET held = stock.held - locked.quantity, {counter} = stock.{counter} + locked.quantity
    FROM settled, locked WHERE (stock.product_id, stock.warehouse_id) = (locked.product_id, locked.warehouse_id)
)
SELECT *, false AS overdue FROM settled
"""
_CONFIRM = _SETTLE.format(state=State.CONFIRMED, counter="sold", condition="AND expire_time > clock_timestamp()")
_RELEASE = _SETTLE.format(state=State.RELEASED, counter="available", condition="")

_EXPIRE = """
WITH due AS MATERIALIZED (
    SELECT reservation_id, product_ids, warehouse_ids FROM reservation
    WHERE state = 'HELD' AND expire_time <= clock_timestamp() ORDER BY expire_time, reservation_id LIMIT $1
), locked AS MATERIALIZED (
    SELECT product_id, warehouse_id FROM stock
    WHERE (product_id, warehouse_id) IN (SELECT unnest(product_ids), unnest(warehouse_ids) FROM due)
    ORDER BY product_id, warehouse_id FOR UPDATE
), free AS MATERIALIZED (
    SELECT reservation_id FROM reservation
    WHERE reservation_id IN (SELECT reservation_id FROM due) AND (SELECT count(*) FROM locked) > 0
        AND state = 'HELD' AND expire_time <= clock_timestamp()
    ORDER BY reservation_id FOR UPDATE SKIP LOCKED
), settled AS (
    UPDATE reservation SET state = 'EXPIRED', update_time = clock_timestamp()
    FROM free WHERE reservation.reservation_id = free.reservation_id
    RETURNING reservation.reservation_id, state, product_ids, warehouse_ids, quantities, expire_time
), given_back AS (
    SELECT product_id, warehouse_id, sum(quantity) AS quantity FROM settled,
        unnest(product_ids, warehouse_ids, quantities) AS allocation (product_id, warehouse_id, quantity)
    GROUP BY product_id, warehouse_id
), moved AS (
    UPDATE stock SET held = held - given_back.quantity, available = available + given_back.quantity
    FROM given_back WHERE (stock.product_id, stock.warehouse_id) = (given_back.product_id, given_back.warehouse_id)
)
SELECT *, false AS overdue FROM settled ORDER BY expire_time, reservation_id
"""

_PROLONG = """
UPDATE reservation SET expire_time = greatest(expire_time, clock_timestamp() + $2), update_time = clock_timestamp()
WHERE reservation_id = $1 AND state = 'HELD' AND expire_time > clock_timestamp()
RETURNING reservation_id, state, product_ids, warehouse_ids, quantities, expire_time, false AS overdue
"""

_READ = """
SELECT reservation_id, state, product_ids, warehouse_ids, quantities, expire_time,
    state = 'HELD' AND expire_time <= clock_timestamp() AS overdue
FROM reservation WHERE {column} = $1
"""
_BY_ID = _READ.format(column="reservation_id")
_BY_KEY = _READ.format(column="key")

_STOCK = """
SELECT product_id::text, warehouse_id::text, available FROM stock
WHERE product_id = ANY ($1::uuid[]) ORDER BY stock.product_id, stock.warehouse_id
"""

_WAREHOUSES = "SELECT warehouse_id::text, name, city FROM warehouse ORDER BY warehouse.warehouse_id"

_RESTOCK = """
WITH claimed AS (
    INSERT INTO restock (key, warehouse_id, product_ids, quantities) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO NOTHING RETURNING key
), destination AS (
    SELECT product_id, quantity, coalesce(
        $2::uuid,
        (SELECT warehouse_id FROM stock WHERE stock.product_id = line.product_id
            ORDER BY available DESC, warehouse_id LIMIT 1),
        (SELECT warehouse_id FROM warehouse ORDER BY warehouse_id LIMIT 1)
    ) AS warehouse_id
    FROM unnest($3::uuid[], $4::int[]) AS line (product_id, quantity)
), added AS (
    INSERT INTO stock AS old (product_id, warehouse_id, received, available)
    SELECT product_id, warehouse_id, quantity, quantity FROM destination WHERE EXISTS (SELECT FROM claimed)
    ORDER BY product_id, warehouse_id
    ON CONFLICT (product_id, warehouse_id) DO UPDATE
        SET received = old.received + excluded.received, available = old.available + excluded.available
)
SELECT EXISTS (SELECT FROM claimed)
"""


class InventoryRepository:
    def __init__(self, connection: Connection | Database) -> None:
        self._connection = connection

    async def reserve(
        self, reservation_id: str, key: str, lines: Sequence[Line], hold: timedelta
    ) -> Reservation | Shortage | None:
        """Holds all lines or nothing. None: the key was taken a moment ago; when it was taken before: a Shortage."""
        product_ids, quantities = _columns(lines)
        try:
            row = await self._connection.fetchrow(_RESERVE, reservation_id, key, product_ids, quantities, hold)
        except asyncpg.UniqueViolationError:
            return None
        if row is None or row["reservation_id"] is not None:
            return _reservation(row)
        return Shortage(str(row["short_product_id"]), row["requested"], int(row["available"]))

    async def confirm(self, reservation_id: str) -> Reservation | None:
        """Turns held units into sold ones. None: it is not held, or no longer."""
        return _reservation(await self._connection.fetchrow(_CONFIRM, reservation_id))

    async def release(self, reservation_id: str) -> Reservation | None:
        """Turns held units back into available ones. None: it is not held."""
        return _reservation(await self._connection.fetchrow(_RELEASE, reservation_id))

    async def prolong(self, reservation_id: str, hold: timedelta) -> Reservation | None:
        """None: it is not held, or no longer."""
        return _reservation(await self._connection.fetchrow(_PROLONG, reservation_id, hold))

    async def expire(self, limit: int) -> list[Reservation]:
        """Gives back up to `limit` reservations whose time is over. What another transaction is busy with is left."""
        rows = await self._connection.fetch(_EXPIRE, limit)
        return [reservation for row in rows if (reservation := _reservation(row))]

    async def reservation(self, reservation_id: str) -> Reservation | None:
        return _reservation(await self._connection.fetchrow(_BY_ID, reservation_id))

    async def reservation_by_key(self, key: str) -> Reservation | None:
        return _reservation(await self._connection.fetchrow(_BY_KEY, key))

    async def stock(self, product_ids: Sequence[str]) -> list[tuple[str, str, int]]:
        """Rows of `(product_id, warehouse_id, available)`, by id."""
        return [(row[0], row[1], row[2]) for row in await self._connection.fetch(_STOCK, product_ids)]

    async def restock(self, key: str, warehouse_id: str | None, lines: Sequence[Line]) -> bool:
        """Adds units once per key; False when the key was used before.

        Raises:
            LookupError: There is no such warehouse, or none at all.
        """
        product_ids, quantities = _columns(lines)
        try:
            return bool(await self._connection.fetchval(_RESTOCK, key, warehouse_id, product_ids, quantities))
        except (asyncpg.ForeignKeyViolationError, asyncpg.NotNullViolationError) as error:
            raise LookupError(warehouse_id) from error

    async def delivery(self, key: str) -> Delivery | None:
        row = await self._connection.fetchrow(
            "SELECT warehouse_id::text, product_ids::text[], quantities FROM restock WHERE key = $1", key
        )
        if row is None:
            return None
        return Delivery(row["warehouse_id"], frozenset(map(Line, row["product_ids"], row["quantities"])))

    async def warehouses(self) -> list[Warehouse]:
        rows = await self._connection.fetch(_WAREHOUSES)
        return [Warehouse(*row) for row in rows]


def _columns(lines: Sequence[Line]) -> tuple[list[str], list[int]]:
    return [line.product_id for line in lines], [line.quantity for line in lines]


def _reservation(row: Record | None) -> Reservation | None:
    if row is None:
        return None
    allocations = map(Allocation, map(str, row["product_ids"]), map(str, row["warehouse_ids"]), row["quantities"])
    state = State.EXPIRED if row["overdue"] else State(row["state"])
    return Reservation(str(row["reservation_id"]), state, tuple(allocations), row["expire_time"])
