"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.storefront.v1 import storefront_pb2
from tricorn.wire.call import Call, Caller


class StorefrontServiceClient:
    SERVICE = "agora.storefront.v1.StorefrontService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list_products(self, request: storefront_pb2.ListProductsRequest, *, deadline: float | None = None) -> storefront_pb2.ListProductsResponse:
        return await self._caller.call("agora.storefront.v1.StorefrontService/ListProducts", request, deadline)  # type: ignore[return-value]

    async def get_product(self, request: storefront_pb2.GetProductRequest, *, deadline: float | None = None) -> storefront_pb2.Product:
        return await self._caller.call("agora.storefront.v1.StorefrontService/GetProduct", request, deadline)  # type: ignore[return-value]

    async def create_quote(self, request: storefront_pb2.CreateQuoteRequest, *, deadline: float | None = None) -> storefront_pb2.Quote:
        return await self._caller.call("agora.storefront.v1.StorefrontService/CreateQuote", request, deadline)  # type: ignore[return-value]

    async def restock_product(self, request: storefront_pb2.RestockProductRequest, *, deadline: float | None = None) -> storefront_pb2.Inventory:
        return await self._caller.call("agora.storefront.v1.StorefrontService/RestockProduct", request, deadline)  # type: ignore[return-value]


class StorefrontServiceBase(abc.ABC):
    SERVICE = "agora.storefront.v1.StorefrontService"

    @abc.abstractmethod
    async def list_products(self, request: storefront_pb2.ListProductsRequest, call: Call) -> storefront_pb2.ListProductsResponse: ...

    @abc.abstractmethod
    async def get_product(self, request: storefront_pb2.GetProductRequest, call: Call) -> storefront_pb2.Product: ...

    @abc.abstractmethod
    async def create_quote(self, request: storefront_pb2.CreateQuoteRequest, call: Call) -> storefront_pb2.Quote: ...

    @abc.abstractmethod
    async def restock_product(self, request: storefront_pb2.RestockProductRequest, call: Call) -> storefront_pb2.Inventory: ...


class OperationsServiceClient:
    SERVICE = "agora.storefront.v1.OperationsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def get_stats(self, request: storefront_pb2.GetStatsRequest, *, deadline: float | None = None) -> storefront_pb2.Stats:
        return await self._caller.call("agora.storefront.v1.OperationsService/GetStats", request, deadline)  # type: ignore[return-value]


class OperationsServiceBase(abc.ABC):
    SERVICE = "agora.storefront.v1.OperationsService"

    @abc.abstractmethod
    async def get_stats(self, request: storefront_pb2.GetStatsRequest, call: Call) -> storefront_pb2.Stats: ...
