"""Orders in PostgreSQL. Every write after the first carries the fence of whoever makes it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from google.protobuf.message import Message

from agora.orders.domain import LEASE_SECONDS, NewOrder, Order, State, StoredRefusal
from tricorn.data import Database, Together, array_text, asked
from tricorn.events import Announce, Change

_COLUMNS = """order_id, user_id, state, open, fence, fingerprint, quote, total, coupons, payment_method, payment_id,
    reservation_id, refusal, version, create_time, update_time"""
_CHANGED = "version = version + 1, update_time = clock_timestamp()"
_LEASE = f"clock_timestamp() + interval '{LEASE_SECONDS} seconds'"


_NEW = asked("""order_id uuid, user_id uuid, state smallint, open boolean, idempotency_key text, fingerprint bytea, quote bytea,
    total bigint, coupons text, payment_method text, refusal jsonb""")
_ADD = f"""
WITH asked AS (SELECT * FROM {_NEW}), added AS (
    INSERT INTO orders (order_id, user_id, state, open, idempotency_key, fingerprint, quote, total, coupons,
        payment_method, refusal, lease_until)
    SELECT order_id, user_id, state, open, idempotency_key, fingerprint, quote, total, coupons::text[], payment_method, refusal, {_LEASE}
    FROM asked
    ON CONFLICT ON CONSTRAINT orders_key DO NOTHING
    RETURNING order_id, fence, version, create_time, update_time
)
SELECT n, fence, version, create_time, update_time FROM added JOIN asked USING (order_id)
"""
# That the ids are given twice makes the plan one that reads no more than these, however large the table is (decision 21).
_MOVE = f"""
UPDATE orders SET state = asked.state, open = asked.open, {_CHANGED}
FROM {asked("order_id uuid, fence bigint, state smallint, open boolean")}
WHERE orders.order_id = asked.order_id AND orders.order_id = ANY ($1) AND orders.fence = asked.fence
RETURNING asked.n, version, update_time
"""
_PLACE = Change(
    "order_id uuid, fence bigint, reservation_id uuid, payment_id uuid",
    f"""
    UPDATE orders SET state = 2, reservation_id = asked.reservation_id, payment_id = asked.payment_id, lease_until = {_LEASE}, {_CHANGED}
    FROM asked
    WHERE orders.order_id = asked.order_id AND orders.order_id = ANY ($1) AND orders.fence = asked.fence AND orders.state = 1
    RETURNING asked.n, version, update_time
    """,
)
_CANCELLED = Change(
    "order_id uuid, fence bigint",
    f"""
    UPDATE orders SET state = 6, open = false, {_CHANGED} FROM asked
    WHERE orders.order_id = asked.order_id AND orders.order_id = ANY ($1) AND orders.fence = asked.fence
    RETURNING asked.n, version, update_time
    """,
)


class OrdersRepository:
    """Orders that are placed at the same time share the statements of their steps."""

    def __init__(self, database: Database, announce: Announce) -> None:
        self._database = database
        self._announce = announce
        self._add = Together(database, _ADD, key=itemgetter(1, 4))
        self._move = Together(database, _MOVE, key=itemgetter(0))

    async def add(self, new: NewOrder) -> Order | None:
        """Writes a new order, leased to the caller; None when the user has used the key before."""
        state = State.REFUSED if new.refusal else State.PENDING
        is_open = new.refusal is None
        row = await self._add(
            new.order_id,
            new.user_id,
            state,
            is_open,
            new.key,
            new.fingerprint,
            new.quote,
            new.total,
            array_text(new.coupons),
            new.payment_method,
            _refusal_json(new.refusal),
        )
        if row is None:
            return None
        return Order(
            order_id=new.order_id,
            user_id=new.user_id,
            state=state,
            open=is_open,
            fence=row["fence"],
            fingerprint=new.fingerprint,
            quote=new.quote,
            total=new.total,
            coupons=new.coupons,
            payment_method=new.payment_method,
            payment_id=None,
            reservation_id=None,
            refusal=new.refusal,
            version=row["version"],
            create_time=row["create_time"],
            update_time=row["update_time"],
        )

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
        row = await self._announce(
            _PLACE, order.order_id, order.fence, reservation_id, payment_id, event=event, subject=order.order_id
        )
        return _changed(order, row, state=State.CONFIRMED, reservation_id=reservation_id, payment_id=payment_id)

    async def cancelled(self, order: Order, event: Message) -> Order | None:
        """The end of cancelling, announced. None when somebody else has taken the order over."""
        row = await self._announce(_CANCELLED, order.order_id, order.fence, event=event, subject=order.order_id)
        return _changed(order, row, state=State.CANCELLED, open=False)

    async def move(self, order: Order, state: State, *, open_: bool) -> Order | None:
        """The next state of an order that the caller holds. None when somebody else has taken it over."""
        row = await self._move(order.order_id, order.fence, state, open_)
        return _changed(order, row, state=state, open=open_)

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


def _changed(order: Order, row: Mapping[str, Any] | None, **changes: Any) -> Order | None:
    if row is None:
        return None
    return replace(order, version=row["version"], update_time=row["update_time"], **changes)


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
