"""What a shopper can see and ask for. It keeps nothing: every answer is put together from those of other contracts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b

from agora.storefront import domain
from agora_proto.catalog.v1 import catalog_pb2
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from agora_proto.inventory.v1 import inventory_pb2
from agora_proto.inventory.v1.inventory_tricorn import InventoryServiceClient
from agora_proto.pricing.v1 import pricing_pb2
from agora_proto.pricing.v1.pricing_tricorn import PricingServiceClient, PromotionsServiceClient


@dataclass(frozen=True, slots=True)
class Offer:
    """One product as it is sold now: what the catalogue says, what is in stock, what a unit costs this customer."""

    product: catalog_pb2.Product
    stock: inventory_pb2.Stock
    price: pricing_pb2.ProductPrice
    tier: pricing_pb2.Tier.ValueType


@dataclass(frozen=True, slots=True)
class Page:
    offers: tuple[Offer, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class Quotation:
    """A basket's price, and the titles of its products by id."""

    priced: pricing_pb2.PriceBasketResponse
    titles: Mapping[str, str]
    tier: pricing_pb2.Tier.ValueType


class StorefrontService:
    """The use cases.

    Each asks the other contexts four times, whatever the size of a page or a basket: a page in three rounds, one
    product and a quote in two.
    """

    def __init__(
        self,
        *,
        catalog: CatalogServiceClient,
        inventory: InventoryServiceClient,
        pricing: PricingServiceClient,
        promotions: PromotionsServiceClient,
    ) -> None:
        self._catalog = catalog
        self._inventory = inventory
        self._pricing = pricing
        self._promotions = promotions

    async def list_products(self, search: catalog_pb2.SearchProductsRequest, user_id: str) -> Page:
        """A page of the catalogue with stock and this customer's prices; nobody in particular has no id."""
        found = await self._catalog.search_products(search)
        products = list(found.products)
        if not products:
            return Page((), found.next_page_token)
        ids = [product.product_id for product in products]
        async with together() as group:
            stocks = group.create_task(self._stocks(ids))
            inputs = group.create_task(self._inputs(ids, user_id))
        return Page(await self._offers(products, stocks.result(), inputs.result()), found.next_page_token)

    async def get_product(self, product_id: str, user_id: str) -> Offer:
        """One product with its stock and this customer's price."""
        async with together() as group:
            products = group.create_task(self._products([product_id]))
            stocks = group.create_task(self._stocks([product_id]))
            inputs = group.create_task(self._inputs([product_id], user_id))
        domain.all_known([product_id], products.result())
        (offer,) = await self._offers(list(products.result().values()), stocks.result(), inputs.result())
        return offer

    async def create_quote(self, quantities: Mapping[str, int], coupons: Sequence[str], user_id: str) -> Quotation:
        """What a basket (units by product id) costs this customer now, by the cheapest legal use of promotions.

        Reserves and promises nothing: another may buy the units, and prices follow stock and demand.
        """
        ids = list(quantities)
        async with together() as group:
            found = group.create_task(self._products(ids))
            in_stock = group.create_task(self._stocks(ids))
            asked = group.create_task(self._inputs(ids, user_id, coupons=coupons))
        products, stocks, inputs = found.result(), in_stock.result(), asked.result()
        domain.all_known(ids, products)
        titles = {product_id: product.title for product_id, product in products.items()}
        domain.enough(quantities, {product_id: stock.available for product_id, stock in stocks.items()}, titles)
        demands = _demands(inputs)
        lines = [
            pricing_pb2.BasketLine(
                product=_priced(products[product_id], stocks, demands),
                quantity=quantity,
                category_ids=products[product_id].category_ids,
            )
            for product_id, quantity in quantities.items()
        ]
        priced = await self._pricing.price_basket(
            pricing_pb2.PriceBasketRequest(
                lines=lines, tier=inputs.tier, promotions=inputs.promotions, coupon_codes=coupons
            )
        )
        return Quotation(priced, titles, inputs.tier)

    async def restock_product(self, product_id: str, quantity: int, key: str, seller_id: str) -> inventory_pb2.Stock:
        """Adds units to a seller's own product; the same key of the same seller adds once."""
        products = await self._products([product_id])
        domain.all_known([product_id], products)
        domain.own(products[product_id].seller_id, seller_id)
        scoped = blake2b(key.encode(), digest_size=16).hexdigest()
        answer = await self._inventory.restock(
            inventory_pb2.RestockRequest(
                key=f"restock:{seller_id}:{scoped}",
                lines=[inventory_pb2.StockLine(product_id=product_id, quantity=quantity)],
            )
        )
        return answer.stocks[0]

    async def _products(self, ids: Sequence[str]) -> dict[str, catalog_pb2.Product]:
        answer = await self._catalog.batch_get_products(catalog_pb2.BatchGetProductsRequest(product_ids=ids))
        return {product.product_id: product for product in answer.products}

    async def _stocks(self, ids: Sequence[str]) -> dict[str, inventory_pb2.Stock]:
        answer = await self._inventory.batch_get_stock(inventory_pb2.BatchGetStockRequest(product_ids=ids))
        return {stock.product_id: stock for stock in answer.stocks}

    async def _inputs(
        self, ids: Sequence[str], user_id: str, *, coupons: Sequence[str] | None = None
    ) -> pricing_pb2.PricingInputs:
        """Demand and tier; promotions too when there may be coupons, that is for a basket."""
        request = pricing_pb2.GetPricingInputsRequest(
            product_ids=ids, user_id=user_id, coupon_codes=coupons or (), without_promotions=coupons is None
        )
        return await self._promotions.get_pricing_inputs(request)

    async def _offers(
        self,
        products: Sequence[catalog_pb2.Product],
        stocks: Mapping[str, inventory_pb2.Stock],
        inputs: pricing_pb2.PricingInputs,
    ) -> tuple[Offer, ...]:
        demands = _demands(inputs)
        answer = await self._pricing.price_products(
            pricing_pb2.PriceProductsRequest(
                products=[_priced(product, stocks, demands) for product in products], tier=inputs.tier
            )
        )
        return tuple(
            Offer(product, stocks.get(product.product_id) or inventory_pb2.Stock(), price, inputs.tier)
            for product, price in zip(products, answer.prices, strict=True)
        )


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """Runs tasks side by side. The first that fails cancels the rest, and the block raises its own error."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _demands(inputs: pricing_pb2.PricingInputs) -> dict[str, int]:
    return {demand.product_id: demand.demand_basis_points for demand in inputs.demands}


def _priced(
    product: catalog_pb2.Product, stocks: Mapping[str, inventory_pb2.Stock], demands: Mapping[str, int]
) -> pricing_pb2.PricedProduct:
    stock = stocks.get(product.product_id)
    return pricing_pb2.PricedProduct(
        product_id=product.product_id,
        base_minor_units=product.base_price.minor_units,
        available=stock.available if stock else 0,
        demand_basis_points=demands[product.product_id],
    )
