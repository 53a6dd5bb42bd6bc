"""What can be done with orders."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import TypeVar

from google.protobuf import json_format

from agora.orders.domain import (
    SAGA_SECONDS,
    SETTLED,
    NewOrder,
    Order,
    State,
    StoredRefusal,
    check_same_request,
    is_terminal,
)
from agora.orders.repository import OrdersRepository
from agora.orders.service.saga import LostOrderError, Saga
from agora_proto.orders.v1 import orders_pb2 as contract
from agora_proto.reasons import Reason
from agora_proto.storefront.v1 import storefront_pb2 as storefront
from agora_proto.storefront.v1.storefront_tricorn import StorefrontServiceClient
from tricorn import telemetry
from tricorn.contract import PlatformReason, Refusal
from tricorn.data import Pace, uuid7
from tricorn.failpoints import failpoint
from tricorn.wire import Call, Identity, call_scope

_log = telemetry.get_logger("agora.orders")
_LOOK_AGAIN = 0.05
_SWEEP_SECONDS = 1.0
_ARRIVAL_SECONDS = 0.01
"""Orders that come within it go through their steps together, and share their statements."""
_COMPLETION_SECONDS = 0.1
"""The same for what is left to do once they are placed, for which no buyer waits."""
_SWEEP_AT_ONCE = 20
_T = TypeVar("_T")


class OrdersService:
    """The use cases of orders.

    ``create`` answers when an order is placed or refused, once for each key. ``cancel`` gives money and stock back. ``watch`` follows an order to
    its end. ``sweep`` takes up what a dead worker left. ``get``, ``page`` and ``figures`` read.
    """

    def __init__(self, repository: OrdersRepository, saga: Saga, storefront_client: StorefrontServiceClient) -> None:
        self._repository = repository
        self._saga = saga
        self._storefront = storefront_client
        self._running: set[asyncio.Task[object]] = set()
        self._changed = asyncio.Condition()
        self._arrivals = Pace(_ARRIVAL_SECONDS)
        self._completions = Pace(_COMPLETION_SECONDS)

    async def create(self, buyer: Identity, request: contract.CreateOrderRequest, call: Call) -> Order:
        """Places an order, or finds the one that the key stands for.

        Raises:
            Refusal: Why it was refused; the same again for the same key. Passing trouble is not remembered.
        """
        new = _new_order(buyer, request)
        await self._arrivals()
        try:
            new, refusal = await self._offer(new, request)
        except Refusal:
            # What can be priced no more, just now, may have been answered before.
            if await self._repository.by_key(buyer.user_id, new.key) is None:
                raise
            return await self._answer_again(buyer, new, call)
        order = await self._repository.add(new)
        if order is None:
            return await self._answer_again(buyer, new, call)
        if refusal is not None:
            raise refusal
        await failpoint("orders.created")
        # Goes on when the buyer hangs up: what was begun is either placed or undone.
        placed: asyncio.Task[Order] = self._start(self._place(order))
        return await asyncio.shield(placed)

    async def get(self, owner: Identity, order_id: str) -> Order:
        """An order of its owner's; somebody else's is not found."""
        order = await self._repository.get(order_id)
        if order is None or order.user_id != owner.user_id:
            raise Refusal(PlatformReason.NOT_FOUND, f"you have no order {order_id}")
        return order

    async def page(self, owner: Identity, before: str | None, limit: int) -> list[Order]:
        return await self._repository.page(owner.user_id, before, limit)

    async def cancel(self, owner: Identity, order_id: str, call: Call) -> Order:
        """Cancels a placed order. Cancelling a cancelled one answers with it.

        Raises:
            Refusal: INVALID_STATE for an order that was never placed; ABORTED when it is still being worked on.
        """
        while True:
            order = await self.get(owner, order_id)
            if order.state is State.CANCELLED:
                return order
            if order.state in {State.PENDING, State.REFUSED}:
                raise Refusal(Reason.INVALID_STATE, "only an order that was placed can be cancelled")
            if order.state is not State.CANCELLING:
                taken = await self._repository.begin_cancelling(order_id)
                if taken is not None:
                    await self._announce()
                    cancelling: asyncio.Task[Order] = self._start(self._finish(self._saga.cancel(taken)))
                    return await asyncio.shield(cancelling)
            await self._look_again(order, call)

    async def watch(self, owner: Identity, order_id: str) -> AsyncIterator[Order]:
        """The order now and after each change, until it is settled."""
        order = await self.get(owner, order_id)
        yield order
        while order.state not in SETTLED:
            async with self._changed:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _SWEEP_SECONDS)
            now = await self.get(owner, order_id)
            if now.version != order.version:
                order = now
                yield order

    async def figures(self) -> tuple[int, int, int]:
        return await self._repository.figures()

    async def sweep(self, stop: asyncio.Event) -> None:
        """Takes over orders whose worker is gone, until told to stop."""
        while not stop.is_set():
            for order in await self._repository.take_over(_SWEEP_AT_ONCE):
                _log.info("taken over", order_id=order.order_id, state=order.state.name)
                self._start(self._resume(order))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _SWEEP_SECONDS)

    async def drain(self) -> None:
        """Waits for the orders that are being worked on; each run has its own limit."""
        while self._running:
            await asyncio.wait(self._running)

    async def _offer(self, new: NewOrder, request: contract.CreateOrderRequest) -> tuple[NewOrder, Refusal | None]:
        """The order at today's prices, and why it cannot be."""
        try:
            quote = await self._storefront.create_quote(
                storefront.CreateQuoteRequest(lines=request.lines, coupons=request.coupons)
            )
            if request.WhichOneof("agreement") == "expected_total":
                _check_agreement(request, quote)
        except Refusal as refusal:
            if not is_terminal(refusal):
                raise
            return replace(new, refusal=StoredRefusal.of(refusal)), refusal
        return replace(new, quote=quote.SerializeToString(), total=quote.total.minor_units), None

    async def _answer_again(self, buyer: Identity, new: NewOrder, call: Call) -> Order:
        while True:
            order = await self._repository.by_key(buyer.user_id, new.key)
            if order is None:  # the insert conflicted, so the key is there
                raise Refusal(PlatformReason.ABORTED, "the order changed at the same time; repeat the request")
            check_same_request(order, new.fingerprint)
            if order.refusal is not None:
                raise order.refusal.again()
            if order.state is not State.PENDING:
                return order
            await self._look_again(order, call)

    async def _look_again(self, order: Order, call: Call) -> None:
        if call.remaining() < 2 * _LOOK_AGAIN:
            raise Refusal(
                PlatformReason.ABORTED,
                f"order {order.order_id} is still being worked on; ask again in a moment",
                retry_after=1.0,
            )
        await asyncio.sleep(_LOOK_AGAIN)

    async def _place(self, order: Order) -> Order:
        with call_scope(timeout=SAGA_SECONDS, causation=order.order_id):
            try:
                placed = await self._saga.place(order)
            except LostOrderError:
                raise Refusal(
                    PlatformReason.ABORTED, "the order took too long and goes on elsewhere; ask again", retry_after=1.0
                ) from None
            finally:
                await self._announce()
        self._start(self._complete(placed))
        return placed

    async def _complete(self, placed: Order) -> None:
        await self._completions()
        await self._resume(placed)

    async def _resume(self, order: Order) -> None:
        with call_scope(timeout=SAGA_SECONDS, causation=order.order_id):
            try:
                await self._saga.resume(order)
            except LostOrderError:
                _log.warning("somebody else works on it", order_id=order.order_id)
            except Refusal as refusal:
                _log.warning(
                    "left to the sweeper", order_id=order.order_id, reason=refusal.reason, detail=refusal.detail
                )
            finally:
                await self._announce()

    async def _finish(self, work: Coroutine[object, object, Order]) -> Order:
        with call_scope(timeout=SAGA_SECONDS):
            try:
                return await work
            except LostOrderError:
                raise Refusal(
                    PlatformReason.ABORTED, "the order changed at the same time; ask again", retry_after=1.0
                ) from None
            finally:
                await self._announce()

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _start(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception) and not isinstance(error, Refusal):
            _log.error("order work failed; the sweeper will take it up", exc_info=error)


def _new_order(buyer: Identity, request: contract.CreateOrderRequest) -> NewOrder:
    """The order as it is asked for, not yet priced."""
    fingerprint = contract.CreateOrderRequest()
    fingerprint.CopyFrom(request)
    fingerprint.ClearField("idempotency_key")
    return NewOrder(
        order_id=uuid7(),
        user_id=buyer.user_id,
        key=request.idempotency_key,
        fingerprint=hashlib.sha256(fingerprint.SerializeToString(deterministic=True)).digest(),
        quote=b"",
        total=0,
        coupons=tuple(request.coupons),
        payment_method=request.payment_method,
    )


def _check_agreement(request: contract.CreateOrderRequest, quote: storefront.Quote) -> None:
    expected = request.expected_total
    if expected != quote.total:
        raise Refusal(
            Reason.PRICE_CHANGED,
            f"the total is now {quote.total.minor_units} {quote.total.currency} in minor units, not {expected.minor_units}; "
            "ask for a new quote, or accept the current price",
            metadata={
                "currency": quote.total.currency,
                "total_minor_units": str(quote.total.minor_units),
                "quote": json_format.MessageToJson(quote, indent=None, always_print_fields_with_no_presence=True),
            },
        )


__all__ = ["OrdersService", "Saga"]
