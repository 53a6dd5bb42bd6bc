"""The storefront's contracts, in terms of its services."""

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from agora.storefront import domain
from agora.storefront.operations import Gathered, OperationsService
from agora.storefront.service import Offer, Quotation, StorefrontService
from agora_proto.catalog.v1 import catalog_pb2
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from agora_proto.inventory.v1 import inventory_pb2
from agora_proto.inventory.v1.inventory_tricorn import InventoryServiceClient
from agora_proto.orders.v1.orders_tricorn import OrdersServiceClient
from agora_proto.pricing.v1.pricing_tricorn import PricingServiceClient, PromotionsServiceClient
from agora_proto.storefront.v1 import storefront_pb2 as pb
from agora_proto.storefront.v1.storefront_tricorn import OperationsServiceBase, StorefrontServiceBase
from agora_proto.v1.money_pb2 import Money
from tricorn.host import Host
from tricorn.wire import Call


def register(host: Host) -> None:
    catalog = host.client(CatalogServiceClient)
    storefront = StorefrontService(
        catalog=catalog,
        inventory=host.client(InventoryServiceClient),
        pricing=host.client(PricingServiceClient),
        promotions=host.client(PromotionsServiceClient),
    )
    host.serve(StorefrontServer(storefront))
    operations = OperationsService(processes=host.stats, catalog=catalog, orders=host.client(OrdersServiceClient))
    host.serve(OperationsServer(operations, host.clock.now))


class StorefrontServer(StorefrontServiceBase):
    def __init__(self, service: StorefrontService) -> None:
        self._service = service

    async def list_products(self, request: pb.ListProductsRequest, call: Call) -> pb.ListProductsResponse:
        search = catalog_pb2.SearchProductsRequest(
            query=request.query,
            category=request.category,
            order_by=request.order_by,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        page = await self._service.list_products(search, _user_id(call))
        return pb.ListProductsResponse(products=map(_product, page.offers), next_page_token=page.next_page_token)

    async def get_product(self, request: pb.GetProductRequest, call: Call) -> pb.Product:
        return _product(await self._service.get_product(_canonical(request.product_id), _user_id(call)))

    async def create_quote(self, request: pb.CreateQuoteRequest, call: Call) -> pb.Quote:
        product_ids = [_canonical(line.product_id) for line in request.lines]
        domain.each_once(product_ids)
        quantities = dict(zip(product_ids, (line.quantity for line in request.lines), strict=True))
        return _quote(await self._service.create_quote(quantities, list(request.coupons), _user_id(call)))

    async def restock_product(self, request: pb.RestockProductRequest, call: Call) -> pb.Inventory:
        stock = await self._service.restock_product(
            _canonical(request.product_id), request.quantity, request.idempotency_key, call.user().user_id
        )
        return _inventory(stock)


class OperationsServer(OperationsServiceBase):
    def __init__(self, service: OperationsService, now: Callable[[], datetime]) -> None:
        self._service = service
        self._now = now

    async def get_stats(self, request: pb.GetStatsRequest, call: Call) -> pb.Stats:
        gathered = await self._service.get_stats()
        services = sorted(
            _services(gathered, self._now().timestamp()), key=lambda figures: (figures.name, figures.process)
        )
        return pb.Stats(services=services, shop=_shop(gathered), missing=gathered.missing)


def _user_id(call: Call) -> str:
    return call.identity.user_id if call.identity else ""


def _canonical(product_id: str) -> str:
    return str(UUID(product_id))


def _money(minor_units: int) -> Money:
    return Money(currency="USD", minor_units=minor_units)


def _inventory(stock: inventory_pb2.Stock) -> pb.Inventory:
    return pb.Inventory(available=stock.available, warehouses=stock.warehouses)


def _product(offer: Offer) -> pb.Product:
    product, price = offer.product, offer.price
    return pb.Product(
        product_id=product.product_id,
        seller_id=product.seller_id,
        title=product.title,
        description=product.description,
        category_ids=product.category_ids,
        release_year=product.release_year,
        inventory=_inventory(offer.stock),
        pricing=pb.Pricing(
            base_price=_money(price.base_minor_units),
            final_price=_money(price.final_minor_units),
            discount_percent=domain.discount_percent(price.base_minor_units, price.final_minor_units),
            tier=offer.tier,
        ),
        create_time=product.create_time,
        update_time=product.update_time,
        etag=product.etag,
    )


def _quote(quotation: Quotation) -> pb.Quote:
    priced = quotation.priced
    return pb.Quote(
        lines=[
            pb.QuotedLine(
                product_id=line.product_id,
                title=quotation.titles[line.product_id],
                quantity=line.quantity,
                unit_price=_money(line.unit_minor_units),
                subtotal=_money(line.subtotal_minor_units),
                discount=_money(line.discount_minor_units),
                total=_money(line.total_minor_units),
            )
            for line in priced.lines
        ],
        promotions=[
            pb.QuotedPromotion(
                promotion_id=applied.promotion_id,
                name=applied.name,
                coupon=applied.coupon_code,
                discount=_money(applied.discount_minor_units),
            )
            for applied in priced.applied
        ],
        subtotal=_money(priced.subtotal_minor_units),
        discount=_money(priced.discount_minor_units),
        total=_money(priced.total_minor_units),
        tier=quotation.tier,
        exact=priced.exact,
    )


def _services(gathered: Gathered, now: float) -> Iterator[pb.ServiceFigures]:
    for process in gathered.processes:
        for service in process.services:
            yield pb.ServiceFigures(
                name=service.service,
                implementation=service.implementation,
                process=process.process,
                uptime_seconds=max(0, int(now - process.start_time.ToNanoseconds() / 1e9)),
                calls=service.calls,
                errors=service.errors,
                mean_milliseconds=service.mean_milliseconds,
                p99_milliseconds=service.p99_milliseconds,
                fallbacks=service.fallbacks,
            )


def _shop(gathered: Gathered) -> pb.ShopFigures:
    figures = pb.ShopFigures()
    if gathered.catalog is not None:
        figures.products = gathered.catalog.products
        figures.categories = gathered.catalog.categories
        figures.sellers = gathered.catalog.sellers
    if gathered.orders is not None:
        figures.orders = gathered.orders.orders
        figures.confirmed_orders = gathered.orders.confirmed_orders
        figures.revenue.CopyFrom(gathered.orders.revenue)
    return figures
