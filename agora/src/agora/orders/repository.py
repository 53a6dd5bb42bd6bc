"""Orders in PostgreSQL. Every write after the first carries the fence of whoever makes it."""

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from google.protobuf.message import Message

from agora.orders.domain import LEASE_SECONDS, NewOrder, Order, State, StoredRefusal
from tricorn.data import Database, Together
from tricorn.events import Announce

_COLUMNS = """order_id, user_id, state, open, fence, fingerprint, quote, total, coupons, payment_method, payment_id,
    reservation_id, refusal, version, create_time, update_time"""
_CHANGED = "version = version + 1, update_time = clock_timestamp()"
_SPACING = 0.01
"""Seconds. Orders that are written in one transaction go on in step, and so share those of their other steps too."""

_LEASE = f"clock_timestamp() + interval '{LEASE_SECONDS} seconds'"


_ADD = f"""
WITH added AS (
    INSERT INTO orders (order_id, user_id, state, open, idempotency_key, fingerprint, quote, total, coupons,
        payment_method, refusal, lease_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, {_LEASE})
    ON CONFLICT ON CONSTRAINT orders_key DO NOTHING
    RETURNING {_COLUMNS}
)
SELECT added.* FROM (VALUES (1)) AS always LEFT JOIN added ON true
"""
_MOVE = f"""
WITH moved AS (
    UPDATE orders SET state = $3, open = $4, {_CHANGED} WHERE order_id = $1 AND fence = $2 RETURNING {_COLUMNS}
)
SELECT moved.* FROM (VALUES (1)) AS always LEFT JOIN moved ON true
"""


class OrdersRepository:
    """Orders that are placed at the same time share the transactions of their steps."""

    def __init__(self, database: Database, announce: Announce) -> None:
        self._database = database
        self._announce = announce
        self._add = Together(database, _ADD, order=itemgetter(1, 4), spacing=_SPACING)
        self._move = Together(database, _MOVE, order=itemgetter(0))

    async def add(self, order: NewOrder) -> Order | None:
        """Writes a new order, leased to the caller; None when the user has used the key before."""
        row = await self._add(
            order.order_id,
            order.user_id,
            State.REFUSED if order.refusal else State.PENDING,
            order.refusal is None,
            order.key,
            order.fingerprint,
            order.quote,
            order.total,
            list(order.coupons),
            order.payment_method,
            _refusal_json(order.refusal),
        )
        return _order(row)

    async def by_key(self, user_id: str, key: str) -> Order | None:
        return _order(
            await self._database.fetchrow(
                f"SELECT {_COLUMNS} FROM orders WHERE user_id = $1 AND idempotency_key = $2", user_id, key
            )
        )

    async def get(self, order_id: str) -> Order | None:
        return _order(await self._database.fetchrow(f"SELECT {_COLUMNS} FROM orders WHERE order_id = $1", order_id))

    async def page(self, user_id: str, before: str | None, limit: int) -> list[Order]:
        """The user's orders that were placed or are being placed, newest first, older than ``before``."""
        rows = await self._database.fetch(
            f"""
            SELECT {_COLUMNS} FROM orders
            WHERE user_id = $1 AND state <> 4 AND ($2::uuid IS NULL OR order_id < $2)
            ORDER BY order_id DESC LIMIT $3
            """,
            user_id,
            before,
            limit,
        )
        return [order for order in map(_order, rows) if order is not None]

    async def place(self, order: Order, reservation_id: str, payment_id: str, event: Message) -> Order | None:
        """The pivot, announced. None when somebody else has taken the order over."""
        return _order(
            await self._announce(
                f"""
                UPDATE orders SET state = 2, reservation_id = $3, payment_id = $4, lease_until = {_LEASE}, {_CHANGED}
                WHERE order_id = $1 AND fence = $2 AND state = 1 RETURNING {_COLUMNS}
                """,
                order.order_id,
                order.fence,
                reservation_id,
                payment_id,
                event=event,
                subject=order.order_id,
            )
        )

    async def cancelled(self, order: Order, event: Message) -> Order | None:
        """The end of cancelling, announced. None when somebody else has taken the order over."""
        return _order(
            await self._announce(
                f"""
                UPDATE orders SET state = 6, open = false, {_CHANGED}
                WHERE order_id = $1 AND fence = $2 RETURNING {_COLUMNS}
                """,
                order.order_id,
                order.fence,
                event=event,
                subject=order.order_id,
            )
        )

    async def move(self, order: Order, state: State, *, open_: bool) -> Order | None:
        """The next state of an order that the caller holds. None when somebody else has taken it over."""
        return _order(await self._move(order.order_id, order.fence, state, open_))

    async def hold(self, order: Order, reservation_id: str) -> Order | None:
        """Writes down which reservation holds the stock now. None when somebody else has taken the order over."""
        return _order(
            await self._database.fetchrow(
                f"""
                UPDATE orders SET reservation_id = $3, {_CHANGED}
                WHERE order_id = $1 AND fence = $2 RETURNING {_COLUMNS}
                """,
                order.order_id,
                order.fence,
                reservation_id,
            )
        )

    async def refuse(self, order: Order, refusal: StoredRefusal) -> Order | None:
        """Remembers the refusal; what was done is still to be undone. None when somebody else has taken the order over."""
        return _order(
            await self._database.fetchrow(
                f"""
                UPDATE orders SET state = 4, refusal = $3, {_CHANGED}
                WHERE order_id = $1 AND fence = $2 AND state = 1 RETURNING {_COLUMNS}
                """,
                order.order_id,
                order.fence,
                _refusal_json(refusal),
            )
        )

    async def close(self, order: Order) -> None:
        """Says that nothing is left to do for an order; its state stays."""
        await self._database.fetchval(
            "UPDATE orders SET open = false WHERE order_id = $1 AND fence = $2 RETURNING 1", order.order_id, order.fence
        )

    async def begin_cancelling(self, order_id: str) -> Order | None:
        """Takes a placed order that nobody is working on, to cancel it. None when it is not such an order now."""
        return _order(
            await self._database.fetchrow(
                f"""
                UPDATE orders SET state = 5, open = true, fence = fence + 1, lease_until = {_LEASE}, {_CHANGED}
                WHERE order_id = $1 AND (state = 3 OR (state = 2 AND lease_until < clock_timestamp()))
                RETURNING {_COLUMNS}
                """,
                order_id,
            )
        )

    async def take_over(self, limit: int) -> list[Order]:
        """Orders with steps left whose lease has ended, now leased to the caller. Each attempt waits longer, up to a minute."""
        rows = await self._database.fetch(
            f"""
            UPDATE orders SET fence = fence + 1, attempts = attempts + 1,
                lease_until = {_LEASE} + least(attempts, 9) * interval '5 seconds'
            WHERE order_id IN (
                SELECT order_id FROM orders WHERE open AND lease_until < clock_timestamp()
                ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED
            )
            RETURNING {_COLUMNS}
            """,
            limit,
        )
        return [order for order in map(_order, rows) if order is not None]

    async def figures(self) -> tuple[int, int, int]:
        """(orders that were placed, those not cancelled, their total in minor units)."""
        (row,) = await self._database.fetch("""
            SELECT count(*) FILTER (WHERE state IN (2, 3, 5, 6)), count(*) FILTER (WHERE state IN (2, 3)),
                coalesce(sum(total) FILTER (WHERE state IN (2, 3)), 0)::bigint
            FROM orders
        """)
        return row[0], row[1], row[2]


def _refusal_json(refusal: StoredRefusal | None) -> str | None:
    if refusal is None:
        return None
    return json.dumps({"reason": refusal.reason, "detail": refusal.detail, "metadata": refusal.metadata})


def _order(row: Mapping[str, Any] | None) -> Order | None:
    if row is None:
        return None
    refusal = json.loads(row["refusal"]) if row["refusal"] is not None else None
    return Order(
        order_id=str(row["order_id"]),
        user_id=str(row["user_id"]),
        state=State(row["state"]),
        open=row["open"],
        fence=row["fence"],
        fingerprint=row["fingerprint"],
        quote=row["quote"],
        total=row["total"],
        coupons=tuple(row["coupons"]),
        payment_method=row["payment_method"],
        payment_id=None if row["payment_id"] is None else str(row["payment_id"]),
        reservation_id=None if row["reservation_id"] is None else str(row["reservation_id"]),
        refusal=None if refusal is None else StoredRefusal(**refusal),
        version=row["version"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
