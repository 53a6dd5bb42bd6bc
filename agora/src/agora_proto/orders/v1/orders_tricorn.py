"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.orders.v1 import orders_pb2
from tricorn.wire.call import Call, Caller


class OrdersServiceClient:
    SERVICE = "agora.orders.v1.OrdersService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create_order(self, request: orders_pb2.CreateOrderRequest, *, deadline: float | None = None) -> orders_pb2.Order:
        return await self._caller.call("agora.orders.v1.OrdersService/CreateOrder", request, deadline)  # type: ignore[return-value]

    async def list_orders(self, request: orders_pb2.ListOrdersRequest, *, deadline: float | None = None) -> orders_pb2.ListOrdersResponse:
        return await self._caller.call("agora.orders.v1.OrdersService/ListOrders", request, deadline)  # type: ignore[return-value]

    async def get_order(self, request: orders_pb2.GetOrderRequest, *, deadline: float | None = None) -> orders_pb2.Order:
        return await self._caller.call("agora.orders.v1.OrdersService/GetOrder", request, deadline)  # type: ignore[return-value]

    async def cancel_order(self, request: orders_pb2.CancelOrderRequest, *, deadline: float | None = None) -> orders_pb2.Order:
        return await self._caller.call("agora.orders.v1.OrdersService/CancelOrder", request, deadline)  # type: ignore[return-value]

    def watch_order(self, request: orders_pb2.WatchOrderRequest) -> AsyncIterator[orders_pb2.WatchOrderResponse]:
        return self._caller.stream("agora.orders.v1.OrdersService/WatchOrder", request)  # type: ignore[return-value]

    async def get_order_figures(self, request: orders_pb2.GetOrderFiguresRequest, *, deadline: float | None = None) -> orders_pb2.OrderFigures:
        return await self._caller.call("agora.orders.v1.OrdersService/GetOrderFigures", request, deadline)  # type: ignore[return-value]


class OrdersServiceBase(abc.ABC):
    SERVICE = "agora.orders.v1.OrdersService"

    @abc.abstractmethod
    async def create_order(self, request: orders_pb2.CreateOrderRequest, call: Call) -> orders_pb2.Order: ...

    @abc.abstractmethod
    async def list_orders(self, request: orders_pb2.ListOrdersRequest, call: Call) -> orders_pb2.ListOrdersResponse: ...

    @abc.abstractmethod
    async def get_order(self, request: orders_pb2.GetOrderRequest, call: Call) -> orders_pb2.Order: ...

    @abc.abstractmethod
    async def cancel_order(self, request: orders_pb2.CancelOrderRequest, call: Call) -> orders_pb2.Order: ...

    @abc.abstractmethod
    def watch_order(self, request: orders_pb2.WatchOrderRequest, call: Call) -> AsyncIterator[orders_pb2.WatchOrderResponse]: ...

    @abc.abstractmethod
    async def get_order_figures(self, request: orders_pb2.GetOrderFiguresRequest, call: Call) -> orders_pb2.OrderFigures: ...
