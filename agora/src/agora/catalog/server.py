"""The catalogue's contract, in terms of its service."""

from typing import Any
from uuid import UUID

from agora.catalog import domain
from agora.catalog.domain import Details, Product
from agora.catalog.repository import CatalogRepository, OnSale
from agora.catalog.service import CatalogService
from agora_proto.catalog.v1 import catalog_pb2 as pb
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceBase
from agora_proto.v1.money_pb2 import Money
from tricorn.contract import decode_page_token, encode_page_token, query_fingerprint, timestamp
from tricorn.host import Host
from tricorn.wire import Call

USD = "USD"


def register(host: Host) -> None:
    service = CatalogService(
        begin=host.begin(CatalogRepository),
        on_sale=OnSale(host.database),
        reads=CatalogRepository(host.database),
        now=host.clock.now,
    )
    host.serve(CatalogServer(service))


class CatalogServer(CatalogServiceBase):
    def __init__(self, service: CatalogService) -> None:
        self._service = service

    async def list_categories(self, request: pb.ListCategoriesRequest, call: Call) -> pb.ListCategoriesResponse:
        return pb.ListCategoriesResponse(
            categories=[
                pb.Category(category_id=category.category_id, name=category.name, product_count=category.product_count)
                for category in await self._service.list_categories()
            ]
        )

    async def create_product(self, request: pb.CreateProductRequest, call: Call) -> pb.Product:
        details = Details(
            title=request.title,
            description=request.description,
            category_ids=tuple(request.category_ids),
            base_price=request.base_price.minor_units,
            release_year=request.release_year,
        )
        return _message(await self._service.create_product(call.user().user_id, details))

    async def update_product(self, request: pb.UpdateProductRequest, call: Call) -> pb.Product:
        product = await self._service.update_product(
            call.user().user_id, _canonical(request.product_id), _wanted(request), request.etag
        )
        return _message(product)

    async def delete_product(self, request: pb.DeleteProductRequest, call: Call) -> pb.DeleteProductResponse:
        await self._service.delete_product(call.user().user_id, _canonical(request.product_id), request.etag)
        return pb.DeleteProductResponse()

    async def batch_get_products(self, request: pb.BatchGetProductsRequest, call: Call) -> pb.BatchGetProductsResponse:
        products = await self._service.get_products([_canonical(product_id) for product_id in request.product_ids])
        return pb.BatchGetProductsResponse(products=map(_message, products))

    async def search_products(self, request: pb.SearchProductsRequest, call: Call) -> pb.SearchProductsResponse:
        search = domain.search_for(request.query, request.category, request.seller_id, request.order_by)
        fingerprint = query_fingerprint(request)
        position = decode_page_token(request.page_token, fingerprint)
        found = await self._service.search(search, position, request.page_size)
        return pb.SearchProductsResponse(
            products=map(_message, found.products),
            next_page_token="" if found.last_place is None else encode_page_token(fingerprint, found.last_place),
        )

    async def get_catalog_figures(self, request: pb.GetCatalogFiguresRequest, call: Call) -> pb.CatalogFigures:
        figures = await self._service.get_figures()
        return pb.CatalogFigures(products=figures.products, categories=figures.categories, sellers=figures.sellers)


def _canonical(product_id: str) -> str:
    return str(UUID(product_id))


def _wanted(request: pb.UpdateProductRequest) -> dict[str, Any]:
    """What the update asks for: the fields that its mask names, without a mask those that are set."""
    change = request.product
    values: dict[str, Any] = {
        "title": change.title,
        "description": change.description,
        "category_ids": tuple(change.category_ids),
        "base_price": change.base_price.minor_units,
        "release_year": change.release_year,
    }
    named = set(request.update_mask.paths) or {field.name for field, _ in change.ListFields()}
    return {name: value for name, value in values.items() if name in named}


def _message(product: Product) -> pb.Product:
    details = product.details
    return pb.Product(
        product_id=product.product_id,
        seller_id=product.seller_id,
        title=details.title,
        description=details.description,
        category_ids=details.category_ids,
        base_price=Money(currency=USD, minor_units=details.base_price),
        release_year=details.release_year,
        create_time=timestamp(product.created_at),
        update_time=timestamp(product.updated_at),
        etag=str(product.version),
    )
