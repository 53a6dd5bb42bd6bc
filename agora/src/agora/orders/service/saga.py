"""The steps of an order: reserve, authorise, place, confirm stock, capture; and the ways back.

Every step that reaches another context carries the order's id as its key, so that doing it twice is doing it once. Before the order is placed a
refusal undoes what was done; after it the remaining steps are repeated until they are done. A worker that lost its order to another (the fence
has moved) stops at its next write.
"""

from google.protobuf.duration_pb2 import Duration

from agora.orders.domain import HOLD_SECONDS, Order, State, StoredRefusal, is_terminal
from agora.orders.repository import OrdersRepository
from agora_proto.inventory.v1 import inventory_pb2 as inventory
from agora_proto.inventory.v1.inventory_tricorn import InventoryServiceClient
from agora_proto.orders.v1 import events_pb2 as events
from agora_proto.payments.v1 import payments_pb2 as payments
from agora_proto.payments.v1.payments_tricorn import PaymentsServiceClient
from agora_proto.pricing.v1 import pricing_pb2 as pricing
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceClient
from agora_proto.reasons import Reason
from agora_proto.storefront.v1 import storefront_pb2 as storefront
from agora_proto.v1.money_pb2 import Money
from tricorn import telemetry
from tricorn.contract import PlatformReason, Refusal
from tricorn.failpoints import failpoint

_log = telemetry.get_logger("agora.orders")


class LostOrderError(Exception):
    """Another worker has taken the order over; what is left to do is theirs."""


class Saga:
    def __init__(
        self,
        repository: OrdersRepository,
        inventory_client: InventoryServiceClient,
        payments_client: PaymentsServiceClient,
        promotions_client: PromotionsServiceClient,
    ) -> None:
        self._repository = repository
        self._inventory = inventory_client
        self._payments = payments_client
        self._promotions = promotions_client

    async def place(self, order: Order) -> Order:
        """Takes a pending order to the pivot.

        Raises:
            Refusal: The order cannot be placed; it is remembered as refused and undone. Or something is out of order just now
                (UNAVAILABLE and the like); the order stays pending and will be taken up again.
            LostOrderError: Somebody else works on it.
        """
        try:
            reservation_id, payment_id = await self._secure(order)
        except Refusal as refusal:
            if is_terminal(refusal):
                await self._refuse(order, refusal)
            raise
        await failpoint("orders.authorised")
        placed = await self._repository.place(order, reservation_id, payment_id, _placed_event(order))
        if placed is None:
            raise await self._lost(order)
        await failpoint("orders.placed")
        return placed

    async def complete(self, order: Order) -> Order:
        """Takes a placed order to its end: stock sold, money captured."""
        order = await self._sell_stock(order)
        await failpoint("orders.stock_confirmed")
        await self._capture(order, order.payment_id or "")
        await failpoint("orders.captured")
        return await self._move(order, State.COMPLETED, open_=False)

    async def cancel(self, order: Order) -> Order:
        """Gives money and stock of a cancelling order back."""
        await self._give_money_back(order)
        await failpoint("orders.refunded")
        await self._give_stock_back(order)
        await self._release_coupons(order)
        cancelled = await self._repository.cancelled(order, _cancelled_event(order))
        if cancelled is None:
            raise LostOrderError
        return cancelled

    async def resume(self, order: Order) -> Order:
        """Goes on with an order that was taken over, from wherever it stands."""
        if order.state is State.PENDING:
            order = await self.place(order)
        if order.state is State.CONFIRMED:
            return await self.complete(order)
        if order.state is State.CANCELLING:
            return await self.cancel(order)
        if order.state is State.REFUSED:
            await self._undo(order)
        return order

    async def _secure(self, order: Order) -> tuple[str, str]:
        if order.coupons:
            await self._promotions.redeem_coupons(
                pricing.RedeemCouponsRequest(key=order.order_id, coupon_codes=order.coupons, user_id=order.user_id)
            )
        reservation = await self._inventory.reserve(
            inventory.ReserveRequest(key=order.order_id, lines=_stock_lines(order), hold=Duration(seconds=HOLD_SECONDS))
        )
        if reservation.state != inventory.Reservation.STATE_HELD:
            raise Refusal(Reason.RESERVATION_EXPIRED, "the stock that was held for this order is no longer held")
        await failpoint("orders.reserved")
        payment = await self._payments.authorise(
            payments.AuthoriseRequest(
                key=order.order_id,
                amount=_quote(order).total,
                method=order.payment_method,
                reference=order.order_id,
                user_id=order.user_id,
            )
        )
        if payment.state != payments.Payment.STATE_AUTHORISED:
            raise Refusal(Reason.INVALID_STATE, "the payment of this order was voided")
        return reservation.reservation_id, payment.payment_id

    async def _sell_stock(self, order: Order) -> Order:
        try:
            await self._inventory.confirm(inventory.ConfirmRequest(reservation_id=order.reservation_id or ""))
        except Refusal as refusal:
            if refusal.reason != Reason.RESERVATION_EXPIRED:
                raise
        else:
            return order
        # Nobody worked on the order for longer than its stock was held: it is held anew, or waits until there is stock again.
        reservation = await self._inventory.reserve(
            inventory.ReserveRequest(
                key=f"{order.order_id}:{order.reservation_id}",
                lines=_stock_lines(order),
                hold=Duration(seconds=HOLD_SECONDS),
            )
        )
        held = await self._repository.hold(order, reservation.reservation_id)
        if held is None:
            raise LostOrderError
        return await self._sell_stock(held)

    async def _refuse(self, order: Order, refusal: Refusal) -> None:
        refused = await self._repository.refuse(order, StoredRefusal.of(refusal))
        if refused is None:
            raise await self._lost(order)
        try:
            await self._undo(refused)
        except Refusal as trouble:
            # The buyer has their answer; the sweeper undoes the rest once it can.
            _log.warning("undoing is left to the sweeper", order_id=order.order_id, reason=trouble.reason)

    async def _undo(self, order: Order) -> None:
        await self._give_money_back(order)
        await self._give_stock_back(order)
        await self._release_coupons(order)
        await self._repository.close(order)

    async def _lost(self, order: Order) -> LostOrderError:
        """A worker that woke up after its order was refused undoes what it may have done since."""
        now = await self._repository.get(order.order_id)
        if now is not None and now.state is State.REFUSED:
            await self._undo(now)
        return LostOrderError()

    async def _give_money_back(self, order: Order) -> None:
        try:
            payment = await self._payments.get_payment(payments.GetPaymentRequest(authorisation_key=order.order_id))
        except Refusal as refusal:
            if refusal.reason == PlatformReason.NOT_FOUND:
                return
            raise
        if payment.state == payments.Payment.STATE_AUTHORISED:
            payment = await self._let_go(order, payment.payment_id)
        if payment.state == payments.Payment.STATE_CAPTURED:
            await self._payments.refund(
                payments.RefundRequest(key=f"{order.order_id}:refund", payment_id=payment.payment_id)
            )

    async def _let_go(self, order: Order, payment_id: str) -> payments.Payment:
        try:
            return await self._payments.void(payments.VoidRequest(key=f"{order.order_id}:void", payment_id=payment_id))
        except Refusal as refusal:
            if refusal.reason != Reason.INVALID_STATE:
                raise
        # Whoever worked on the order before had the money taken, which is not booked yet: the same call once more books it.
        return await self._capture(order, payment_id)

    async def _capture(self, order: Order, payment_id: str) -> payments.Payment:
        return await self._payments.capture(
            payments.CaptureRequest(key=f"{order.order_id}:capture", payment_id=payment_id)
        )

    async def _give_stock_back(self, order: Order) -> None:
        # Reserving again with the same key finds the reservation, should its id not have been written down before a crash.
        reservation_id = order.reservation_id
        if reservation_id is None:
            try:
                found = await self._inventory.reserve(
                    inventory.ReserveRequest(
                        key=order.order_id, lines=_stock_lines(order), hold=Duration(seconds=HOLD_SECONDS)
                    )
                )
            except Refusal as refusal:
                if is_terminal(refusal):
                    return
                raise
            reservation_id = found.reservation_id
        reservation = await self._inventory.get_reservation(
            inventory.GetReservationRequest(reservation_id=reservation_id)
        )
        if reservation.state == inventory.Reservation.STATE_HELD:
            await self._inventory.release(inventory.ReleaseRequest(reservation_id=reservation_id))
        elif reservation.state == inventory.Reservation.STATE_CONFIRMED:
            await self._inventory.restock(
                inventory.RestockRequest(key=f"{order.order_id}:restock", lines=_stock_lines(order))
            )

    async def _release_coupons(self, order: Order) -> None:
        if order.coupons:
            await self._promotions.release_coupons(pricing.ReleaseCouponsRequest(key=order.order_id))

    async def _move(self, order: Order, state: State, *, open_: bool) -> Order:
        moved = await self._repository.move(order, state, open_=open_)
        if moved is None:
            raise LostOrderError
        return moved


def _quote(order: Order) -> storefront.Quote:
    return storefront.Quote.FromString(order.quote)


def _stock_lines(order: Order) -> list[inventory.StockLine]:
    return [inventory.StockLine(product_id=line.product_id, quantity=line.quantity) for line in _quote(order).lines]


def _event_lines(quote: storefront.Quote) -> list[events.OrderPlacedLine]:
    return [
        events.OrderPlacedLine(
            product_id=line.product_id, quantity=line.quantity, total=line.total, unit_price=line.unit_price
        )
        for line in quote.lines
    ]


def _placed_event(order: Order) -> events.OrderPlaced:
    quote = _quote(order)
    return events.OrderPlaced(
        order_id=order.order_id, user_id=order.user_id, lines=_event_lines(quote), total=_money(quote.total)
    )


def _cancelled_event(order: Order) -> events.OrderCancelled:
    quote = _quote(order)
    return events.OrderCancelled(
        order_id=order.order_id, user_id=order.user_id, lines=_event_lines(quote), total=_money(quote.total)
    )


def _money(money: Money) -> Money:
    return Money(currency=money.currency, minor_units=money.minor_units)
