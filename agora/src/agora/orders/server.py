"""OrdersService behind its contract."""

import uuid
from collections.abc import AsyncIterator

from agora.orders.domain import Order
from agora.orders.repository import OrdersRepository
from agora.orders.service import OrdersService, Saga
from agora_proto.inventory.v1.inventory_tricorn import InventoryServiceClient
from agora_proto.orders.v1 import orders_pb2 as contract
from agora_proto.orders.v1.orders_tricorn import OrdersServiceBase
from agora_proto.payments.v1.payments_tricorn import PaymentsServiceClient
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceClient
from agora_proto.storefront.v1 import storefront_pb2 as storefront
from agora_proto.storefront.v1.storefront_tricorn import StorefrontServiceClient
from agora_proto.v1.money_pb2 import Money
from tricorn.contract import (
    PlatformReason,
    Refusal,
    decode_page_token,
    encode_page_token,
    query_fingerprint,
    timestamp,
)
from tricorn.host import Host
from tricorn.wire import Call

_PAGE = 20


class OrdersServer(OrdersServiceBase):
    def __init__(self, service: OrdersService) -> None:
        self._service = service

    async def create_order(self, request: contract.CreateOrderRequest, call: Call) -> contract.Order:
        return to_contract(await self._service.create(call.user(), request, call))

    async def list_orders(self, request: contract.ListOrdersRequest, call: Call) -> contract.ListOrdersResponse:
        buyer = call.user()
        # A token is bound to its user as well: the query alone says nothing of whose orders they are.
        fingerprint = query_fingerprint(request)[:4] + uuid.UUID(buyer.user_id).bytes[-4:]
        position = decode_page_token(request.page_token, fingerprint)
        before = None if position is None else _order_id(position)
        size = request.page_size or _PAGE
        orders = await self._service.page(buyer, before, size + 1)
        page = contract.ListOrdersResponse(orders=[to_contract(order) for order in orders[:size]])
        if len(orders) > size:
            page.next_page_token = encode_page_token(fingerprint, [orders[size - 1].order_id])
        return page

    async def get_order(self, request: contract.GetOrderRequest, call: Call) -> contract.Order:
        return to_contract(await self._service.get(call.user(), request.order_id))

    async def cancel_order(self, request: contract.CancelOrderRequest, call: Call) -> contract.Order:
        return to_contract(await self._service.cancel(call.user(), request.order_id, call))

    async def watch_order(
        self, request: contract.WatchOrderRequest, call: Call
    ) -> AsyncIterator[contract.WatchOrderResponse]:
        async for order in self._service.watch(call.user(), request.order_id):
            yield contract.WatchOrderResponse(order=to_contract(order))

    async def get_order_figures(self, request: contract.GetOrderFiguresRequest, call: Call) -> contract.OrderFigures:
        orders, confirmed, revenue = await self._service.figures()
        return contract.OrderFigures(
            orders=orders, confirmed_orders=confirmed, revenue=Money(currency="USD", minor_units=revenue)
        )


def register(host: Host) -> None:
    repository = OrdersRepository(host.database, host.announce)
    saga = Saga(
        repository,
        host.client(InventoryServiceClient),
        host.client(PaymentsServiceClient),
        host.client(PromotionsServiceClient),
    )
    service = OrdersService(repository, saga, host.client(StorefrontServiceClient))
    host.serve(OrdersServer(service))
    host.background("orders.sweeper", service.sweep)
    host.on_stop(service.drain)


def to_contract(order: Order) -> contract.Order:
    """An order as its buyer sees it."""
    quote = storefront.Quote.FromString(order.quote)
    return contract.Order(
        order_id=order.order_id,
        user_id=order.user_id,
        state=contract.Order.State.ValueType(int(order.state)),
        lines=quote.lines,
        promotions=quote.promotions,
        subtotal=quote.subtotal,
        discount=quote.discount,
        total=quote.total,
        payment_method=order.payment_method,
        payment_id=order.payment_id or "",
        reservation_id=order.reservation_id or "",
        failure=order.refusal.reason if order.refusal else "",
        etag=str(order.version),
        create_time=timestamp(order.create_time),
        update_time=timestamp(order.update_time),
    )


def _order_id(position: list[str | int]) -> str:
    try:
        (order_id,) = position
        return str(uuid.UUID(str(order_id)))
    except ValueError:
        raise Refusal(PlatformReason.PAGE_TOKEN_INVALID, "page_token was not given out for this query") from None
