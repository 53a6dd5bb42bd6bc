"""What a shopper sees and is quoted."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from agora_proto.catalog.v1 import catalog_pb2
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from agora_proto.pricing.v1.pricing_pb2 import Tier
from agora_proto.storefront.v1 import storefront_pb2 as pb
from agora_proto.storefront.v1.storefront_tricorn import StorefrontServiceClient
from tricorn.contract import Refusal
from tricorn.host.testing import TestApp
from tricorn.wire import Identity

Calls = Callable[[], Counter[str]]


@pytest.fixture
def storefront(app: TestApp) -> StorefrontServiceClient:
    """The storefront as nobody in particular calls it."""
    return app.client(StorefrontServiceClient)


def _lines(**quantities: int) -> list[pb.QuoteLine]:
    return [pb.QuoteLine(product_id=product_id, quantity=quantity) for product_id, quantity in quantities.items()]


async def test_a_product_shows_its_stock_by_warehouse_and_its_price_for_the_basic_tier(
    storefront: StorefrontServiceClient, shelf: Any
) -> None:
    product_id = await shelf.product("Toy Story", 1000, 9)

    product = await storefront.get_product(pb.GetProductRequest(product_id=product_id.upper()))

    # Fewer than 10 are left: 1000 x 1.5 = 1500, less 5 % is 1425.
    assert (product.pricing.base_price.minor_units, product.pricing.final_price.minor_units) == (1000, 1425)
    assert (product.pricing.discount_percent, product.pricing.tier) == (-42, Tier.TIER_BASIC)
    assert (product.inventory.available, [each.available for each in product.inventory.warehouses]) == (9, [9])
    assert (product.product_id, product.title, product.etag) == (product_id, "Toy Story", "1")


async def test_a_product_without_stock_has_none_and_is_scarce(storefront: StorefrontServiceClient, shelf: Any) -> None:
    product_id = await shelf.product("Toy Story", 1000, 0)

    product = await storefront.get_product(pb.GetProductRequest(product_id=product_id))

    assert (product.inventory.available, product.pricing.final_price.minor_units) == (0, 1425)


async def test_the_price_is_the_callers(app: TestApp, shelf: Any, bob: Identity) -> None:
    product_id = await shelf.product("Toy Story", 1000, 500)
    await app.admin.execute("INSERT INTO pricing.customer VALUES ($1, 100000000)", bob.user_id)

    product = await app.client(StorefrontServiceClient, user=bob).get_product(
        pb.GetProductRequest(product_id=product_id)
    )

    assert (product.pricing.tier, product.pricing.final_price.minor_units) == (Tier.TIER_GOLD, 850)
    assert product.pricing.discount_percent == 15


async def test_an_unknown_product_is_not_found_and_named(storefront: StorefrontServiceClient) -> None:
    missing = str(uuid4())

    with pytest.raises(Refusal, match="NOT_FOUND") as refused:
        await storefront.get_product(pb.GetProductRequest(product_id=missing))

    assert refused.value.metadata == {"product_id": missing}


@pytest.mark.parametrize("size", [1, 20, 100])
async def test_a_page_of_any_size_costs_four_calls(
    storefront: StorefrontServiceClient, shelf: Any, calls: Calls, size: int
) -> None:
    for number in range(size):
        await shelf.product(f"Film {number:03}", 100 + number, number)
    before = calls()

    page = await storefront.list_products(pb.ListProductsRequest(page_size=size))

    assert len(page.products) == size
    assert dict(calls() - before) == {
        "agora.storefront.v1.StorefrontService/ListProducts": 1,
        "agora.catalog.v1.CatalogService/SearchProducts": 1,
        "agora.inventory.v1.InventoryService/BatchGetStock": 1,
        "agora.pricing.v1.PromotionsService/GetPricingInputs": 1,
        "agora.pricing.v1.PricingService/PriceProducts": 1,
    }
    assert [product.inventory.available for product in page.products] == list(range(size))


async def test_one_product_and_a_quote_cost_four_calls_and_an_empty_page_one(
    storefront: StorefrontServiceClient, shelf: Any, calls: Calls
) -> None:
    ids = [await shelf.product(f"Film {number}", 100, 100) for number in range(5)]

    async def cost(call: Any) -> int:
        before = calls()
        await call
        return (calls() - before).total() - 1

    assert await cost(storefront.get_product(pb.GetProductRequest(product_id=ids[0]))) == 4
    assert await cost(storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**dict.fromkeys(ids, 3))))) == 4
    assert await cost(storefront.list_products(pb.ListProductsRequest(query="nothing"))) == 1


async def test_pages_follow_one_another_and_a_strange_token_is_refused(
    storefront: StorefrontServiceClient, shelf: Any
) -> None:
    for title in ("A", "B", "C"):
        await shelf.product(title, 100, 1)

    first = await storefront.list_products(pb.ListProductsRequest(page_size=2))
    second = await storefront.list_products(pb.ListProductsRequest(page_size=2, page_token=first.next_page_token))

    assert [each.title for each in (*first.products, *second.products)] == ["A", "B", "C"]
    assert second.next_page_token == ""
    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        await storefront.list_products(pb.ListProductsRequest(query="a", page_token=first.next_page_token))


async def test_a_quote_adds_up_with_titles_and_coupons(storefront: StorefrontServiceClient, shelf: Any) -> None:
    a, b = await shelf.product("A", 1000, 500), await shelf.product("B", 2000, 500)

    quote = await storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**{b: 1, a: 2}), coupons=["TENTH"]))

    # The basic tier takes 5 % off: units of 1900 and 950; a tenth off is 190 and 2 x 95.
    assert [(line.title, line.quantity, line.unit_price.minor_units) for line in quote.lines] == [
        ("B", 1, 1900),
        ("A", 2, 950),
    ]
    assert [line.total.minor_units for line in quote.lines] == [1710, 1710]
    assert (quote.subtotal.minor_units, quote.discount.minor_units, quote.total.minor_units) == (3800, 380, 3420)
    assert [(each.promotion_id, each.coupon) for each in quote.promotions] == [("tenth", "TENTH")]
    assert (quote.tier, quote.exact, quote.total.currency) == (Tier.TIER_BASIC, True, "USD")


async def test_a_quote_for_an_unknown_product_names_it(storefront: StorefrontServiceClient, shelf: Any) -> None:
    known, missing = await shelf.product("A", 1000, 5), str(uuid4())

    with pytest.raises(Refusal, match="NOT_FOUND") as refused:
        await storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**{known: 1, missing: 1})))

    assert refused.value.metadata == {"product_id": missing}


async def test_a_quote_for_more_than_is_there_says_what_is_left(
    storefront: StorefrontServiceClient, shelf: Any
) -> None:
    product_id = await shelf.product("A", 1000, 5)

    with pytest.raises(Refusal, match="OUT_OF_STOCK") as refused:
        await storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**{product_id: 6})))

    assert refused.value.metadata == {"product_id": product_id, "available": "5"}
    assert await storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**{product_id: 5})))


async def test_one_product_in_two_spellings_of_its_id_is_refused(
    storefront: StorefrontServiceClient, shelf: Any
) -> None:
    product_id = await shelf.product("A", 1000, 5)

    with pytest.raises(Refusal, match="INVALID_ARGUMENT") as refused:
        await storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**{product_id: 1, product_id.upper(): 1})))

    assert [violation.field for violation in refused.value.violations] == ["lines"]


async def test_an_unknown_coupon_is_refused(storefront: StorefrontServiceClient, shelf: Any) -> None:
    product_id = await shelf.product("A", 1000, 5)

    with pytest.raises(Refusal, match="COUPON_INVALID"):
        await storefront.create_quote(pb.CreateQuoteRequest(lines=_lines(**{product_id: 1}), coupons=["NO"]))


async def test_a_seller_restocks_only_what_is_theirs_and_a_key_adds_once(
    app: TestApp, shelf: Any, alice: Identity, bob: Identity
) -> None:
    product_id = await shelf.product("A", 1000, 5)
    request = pb.RestockProductRequest(product_id=product_id, quantity=3, idempotency_key="k" * 100)
    hers, his = (app.client(StorefrontServiceClient, user=user) for user in (alice, bob))

    assert (await hers.restock_product(request)).available == 8
    assert (await hers.restock_product(request)).available == 8
    with pytest.raises(Refusal, match="PERMISSION_DENIED"):
        await his.restock_product(request)
    request.quantity = 4
    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await hers.restock_product(request)
    request.product_id = str(uuid4())
    with pytest.raises(Refusal, match="NOT_FOUND"):
        await hers.restock_product(request)


async def test_a_changed_product_is_seen_with_its_new_title_and_a_deleted_one_not_at_all(
    app: TestApp, storefront: StorefrontServiceClient, shelf: Any, alice: Identity
) -> None:
    product_id = await shelf.product("A", 1000, 5)
    catalog = app.client(CatalogServiceClient, user=alice)
    change = catalog_pb2.ProductChange(title="B")

    await catalog.update_product(catalog_pb2.UpdateProductRequest(product_id=product_id, product=change))
    assert (await storefront.get_product(pb.GetProductRequest(product_id=product_id))).title == "B"
    await catalog.delete_product(catalog_pb2.DeleteProductRequest(product_id=product_id))

    with pytest.raises(Refusal, match="NOT_FOUND"):
        await storefront.get_product(pb.GetProductRequest(product_id=product_id))
    assert not (await storefront.list_products(pb.ListProductsRequest())).products
