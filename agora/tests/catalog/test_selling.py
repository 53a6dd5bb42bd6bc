"""A seller's own products."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from agora_proto.catalog.v1 import catalog_pb2 as pb
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from agora_proto.v1.money_pb2 import Money
from tricorn.contract import Refusal
from tricorn.host.testing import TestApp
from tricorn.wire import Identity

Put = Callable[..., Awaitable[pb.Product]]
WAR = "22222222-2222-4222-8222-222222222222"


async def _outbox(app: TestApp) -> list[str]:
    rows = await app.admin.fetch("SELECT type FROM catalog.outbox ORDER BY id")
    return [row["type"].rpartition(".")[2] for row in rows]


async def test_a_created_product_can_be_read_back_with_everything_its_seller_said(
    catalog: CatalogServiceClient, put: Put, alice: Identity
) -> None:
    created = await put("  Toy Story ", 1599, description=" Toys. ", release_year=1995)

    (read,) = (await catalog.batch_get_products(pb.BatchGetProductsRequest(product_ids=[created.product_id]))).products

    assert read == created
    assert UUID(read.product_id).version == 7
    assert (read.title, read.description, read.release_year) == ("Toy Story", "Toys.", 1995)
    assert (read.seller_id, read.base_price.minor_units, read.etag) == (alice.user_id, 1599, "1")


async def test_products_are_given_in_the_order_asked_for_without_those_that_are_gone(
    catalog: CatalogServiceClient, put: Put
) -> None:
    first, second, third = await put("A"), await put("B"), await put("C")
    await catalog.delete_product(pb.DeleteProductRequest(product_id=second.product_id))

    asked = [third.product_id.upper(), second.product_id, str(uuid4()), first.product_id]
    answer = await catalog.batch_get_products(pb.BatchGetProductsRequest(product_ids=asked))

    assert [product.title for product in answer.products] == ["C", "A"]


async def test_a_mask_decides_what_changes(catalog: CatalogServiceClient, put: Put) -> None:
    product = await put("Toy Story", description="Toys.", release_year=1995)
    change = pb.ProductChange(title="Ignored", category_ids=[WAR])

    changed = await catalog.update_product(
        pb.UpdateProductRequest(
            product_id=product.product_id,
            product=change,
            update_mask=FieldMask(paths=["description", "category_ids", "release_year"]),
        )
    )

    assert (changed.title, changed.description, changed.release_year) == ("Toy Story", "", 0)
    assert (list(changed.category_ids), changed.etag) == ([WAR], "2")


async def test_without_a_mask_what_is_set_changes(catalog: CatalogServiceClient, put: Put) -> None:
    product = await put("Toy Story", description="Toys.")
    change = pb.ProductChange(base_price=Money(currency="USD", minor_units=1), description="")

    changed = await catalog.update_product(pb.UpdateProductRequest(product_id=product.product_id, product=change))

    assert (changed.title, changed.description, changed.base_price.minor_units) == ("Toy Story", "", 1)


@pytest.mark.parametrize("path", ["title", "category_ids", "base_price"])
async def test_what_a_product_needs_cannot_be_taken_away(catalog: CatalogServiceClient, put: Put, path: str) -> None:
    product = await put("Toy Story")

    with pytest.raises(Refusal) as refused:
        await catalog.update_product(
            pb.UpdateProductRequest(
                product_id=product.product_id, product=pb.ProductChange(), update_mask=FieldMask(paths=[path])
            )
        )

    assert refused.value.reason == "INVALID_ARGUMENT"
    assert [violation.field for violation in refused.value.violations] == [f"product.{path}"]


async def test_of_changes_at_once_with_one_etag_exactly_one_is_made(
    app: TestApp, catalog: CatalogServiceClient, put: Put
) -> None:
    product = await put("Toy Story")

    async def rename(title: str) -> str:
        request = pb.UpdateProductRequest(
            product_id=product.product_id, product=pb.ProductChange(title=title), etag=product.etag
        )
        try:
            return (await catalog.update_product(request)).etag
        except Refusal as refusal:
            return refusal.reason

    async with app.admin.transaction() as held:
        await held.execute("SELECT FROM catalog.product FOR UPDATE")
        changes = [asyncio.create_task(rename(f"Title {number}")) for number in range(5)]
        await _all_waiting(app, len(changes))
    answers = await asyncio.gather(*changes)

    assert sorted(answers) == ["2", *["PRECONDITION_FAILED"] * 4]


async def _all_waiting(app: TestApp, transactions: int) -> None:
    """Returns when so many wait for a lock, so that they have all begun and none can be over."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await app.admin.fetchval(waiting) < transactions:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


async def test_a_repeated_change_with_its_etag_is_answered_like_the_first(
    app: TestApp, catalog: CatalogServiceClient, put: Put
) -> None:
    product = await put("Toy Story")
    request = pb.UpdateProductRequest(
        product_id=product.product_id, product=pb.ProductChange(title="Toys"), etag=product.etag
    )

    first, again = await catalog.update_product(request), await catalog.update_product(request)

    assert first == again
    assert await _outbox(app) == ["ProductCreated", "ProductUpdated"]


async def test_a_change_that_alters_nothing_makes_no_version_and_no_event(
    app: TestApp, catalog: CatalogServiceClient, put: Put
) -> None:
    product = await put("Toy Story")

    same = await catalog.update_product(
        pb.UpdateProductRequest(product_id=product.product_id, product=pb.ProductChange(title="Toy Story "))
    )

    assert same == product
    assert await _outbox(app) == ["ProductCreated"]


async def test_another_sellers_product_can_neither_be_changed_nor_deleted(
    app: TestApp, catalog: CatalogServiceClient, put: Put, bob: Identity
) -> None:
    product = await put("Toy Story")
    intruder = app.client(CatalogServiceClient, user=bob)

    with pytest.raises(Refusal, match="PERMISSION_DENIED"):
        await intruder.update_product(
            pb.UpdateProductRequest(product_id=product.product_id, product=pb.ProductChange(title="Mine"))
        )
    with pytest.raises(Refusal, match="PERMISSION_DENIED"):
        await intruder.delete_product(pb.DeleteProductRequest(product_id=product.product_id))

    read = await catalog.batch_get_products(pb.BatchGetProductsRequest(product_ids=[product.product_id]))
    assert list(read.products) == [product]


async def test_a_deleted_product_is_gone_for_everyone_and_deleting_it_again_is_no_error(
    app: TestApp, catalog: CatalogServiceClient, put: Put, bob: Identity
) -> None:
    product = await put("Toy Story")
    request = pb.DeleteProductRequest(product_id=product.product_id, etag=product.etag)

    await catalog.delete_product(request)
    await catalog.delete_product(request)

    assert await _outbox(app) == ["ProductCreated", "ProductDeleted"]
    assert await app.admin.fetchval("SELECT count(*) FROM published.product_v1") == 0
    for call in (
        catalog.update_product(pb.UpdateProductRequest(product_id=product.product_id, product=pb.ProductChange())),
        app.client(CatalogServiceClient, user=bob).delete_product(request),
    ):
        with pytest.raises(Refusal, match="NOT_FOUND"):
            await call


async def test_a_deletion_based_on_an_old_version_is_refused(catalog: CatalogServiceClient, put: Put) -> None:
    product = await put("Toy Story")
    await catalog.update_product(
        pb.UpdateProductRequest(product_id=product.product_id, product=pb.ProductChange(title="Toys"))
    )

    with pytest.raises(Refusal, match="PRECONDITION_FAILED"):
        await catalog.delete_product(pb.DeleteProductRequest(product_id=product.product_id, etag=product.etag))


async def test_an_unknown_category_is_refused_by_its_place_and_nothing_is_written(app: TestApp, put: Put) -> None:
    with pytest.raises(Refusal) as refused:
        await put("Toy Story", category_ids=(WAR, str(uuid4())))

    assert [violation.field for violation in refused.value.violations] == ["category_ids[1]"]
    assert await app.admin.fetchval("SELECT count(*) FROM catalog.product") == 0
    assert await _outbox(app) == []


async def test_categories_and_figures_count_what_is_on_sale(
    app: TestApp, catalog: CatalogServiceClient, put: Put, bob: Identity
) -> None:
    gone = await put("A", category_ids=(WAR,))
    await put("B", category_ids=("11111111-1111-4111-8111-111111111111", WAR))
    await app.client(CatalogServiceClient, user=bob).create_product(
        pb.CreateProductRequest(title="C", base_price=Money(currency="USD", minor_units=5), category_ids=[WAR])
    )
    await catalog.delete_product(pb.DeleteProductRequest(product_id=gone.product_id))

    categories = (await catalog.list_categories(pb.ListCategoriesRequest())).categories
    figures = await catalog.get_catalog_figures(pb.GetCatalogFiguresRequest())

    assert [(category.name, category.product_count) for category in categories] == [("Drama", 1), ("War", 2)]
    assert figures == pb.CatalogFigures(products=2, categories=2, sellers=2)
