"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.catalog.v1 import catalog_pb2
from tricorn.wire.call import Call, Caller


class CatalogServiceClient:
    SERVICE = "agora.catalog.v1.CatalogService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list_categories(self, request: catalog_pb2.ListCategoriesRequest, *, deadline: float | None = None) -> catalog_pb2.ListCategoriesResponse:
        return await self._caller.call("agora.catalog.v1.CatalogService/ListCategories", request, deadline)  # type: ignore[return-value]

    async def create_product(self, request: catalog_pb2.CreateProductRequest, *, deadline: float | None = None) -> catalog_pb2.Product:
        return await self._caller.call("agora.catalog.v1.CatalogService/CreateProduct", request, deadline)  # type: ignore[return-value]

    async def update_product(self, request: catalog_pb2.UpdateProductRequest, *, deadline: float | None = None) -> catalog_pb2.Product:
        return await self._caller.call("agora.catalog.v1.CatalogService/UpdateProduct", request, deadline)  # type: ignore[return-value]

    async def delete_product(self, request: catalog_pb2.DeleteProductRequest, *, deadline: float | None = None) -> catalog_pb2.DeleteProductResponse:
        return await self._caller.call("agora.catalog.v1.CatalogService/DeleteProduct", request, deadline)  # type: ignore[return-value]

    async def batch_get_products(self, request: catalog_pb2.BatchGetProductsRequest, *, deadline: float | None = None) -> catalog_pb2.BatchGetProductsResponse:
        return await self._caller.call("agora.catalog.v1.CatalogService/BatchGetProducts", request, deadline)  # type: ignore[return-value]

    async def search_products(self, request: catalog_pb2.SearchProductsRequest, *, deadline: float | None = None) -> catalog_pb2.SearchProductsResponse:
        return await self._caller.call("agora.catalog.v1.CatalogService/SearchProducts", request, deadline)  # type: ignore[return-value]

    async def get_catalog_figures(self, request: catalog_pb2.GetCatalogFiguresRequest, *, deadline: float | None = None) -> catalog_pb2.CatalogFigures:
        return await self._caller.call("agora.catalog.v1.CatalogService/GetCatalogFigures", request, deadline)  # type: ignore[return-value]


class CatalogServiceBase(abc.ABC):
    SERVICE = "agora.catalog.v1.CatalogService"

    @abc.abstractmethod
    async def list_categories(self, request: catalog_pb2.ListCategoriesRequest, call: Call) -> catalog_pb2.ListCategoriesResponse: ...

    @abc.abstractmethod
    async def create_product(self, request: catalog_pb2.CreateProductRequest, call: Call) -> catalog_pb2.Product: ...

    @abc.abstractmethod
    async def update_product(self, request: catalog_pb2.UpdateProductRequest, call: Call) -> catalog_pb2.Product: ...

    @abc.abstractmethod
    async def delete_product(self, request: catalog_pb2.DeleteProductRequest, call: Call) -> catalog_pb2.DeleteProductResponse: ...

    @abc.abstractmethod
    async def batch_get_products(self, request: catalog_pb2.BatchGetProductsRequest, call: Call) -> catalog_pb2.BatchGetProductsResponse: ...

    @abc.abstractmethod
    async def search_products(self, request: catalog_pb2.SearchProductsRequest, call: Call) -> catalog_pb2.SearchProductsResponse: ...

    @abc.abstractmethod
    async def get_catalog_figures(self, request: catalog_pb2.GetCatalogFiguresRequest, call: Call) -> catalog_pb2.CatalogFigures: ...
