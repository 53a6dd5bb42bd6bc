"""Finding products, and turning the pages while others write."""

import base64
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest

from agora_proto.catalog.v1 import catalog_pb2 as pb
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from tricorn.contract import Refusal
from tricorn.wire import Identity

Put = Callable[..., Awaitable[pb.Product]]
DRAMA = "11111111-1111-4111-8111-111111111111"
WAR = "22222222-2222-4222-8222-222222222222"
ORDERS = ["title", "price", "price desc", "newest", "relevance"]


async def _titles(catalog: CatalogServiceClient, **request: object) -> list[str]:
    answer = await catalog.search_products(pb.SearchProductsRequest(**request))  # type: ignore[arg-type]
    return [product.title for product in answer.products]


async def _pages(catalog: CatalogServiceClient, request: pb.SearchProductsRequest) -> AsyncIterator[list[pb.Product]]:
    while True:
        answer = await catalog.search_products(request)
        yield list(answer.products)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("star wa", ["Star Wars"]),
        ("WARS star", ["Star Wars"]),
        ("les mis", ["Les Misérables"]),
        ("MISÉRABLES", ["Les Misérables"]),
        ("schindlers", ["Schindler's List"]),
        ("schindler’s", ["Schindler's List"]),
        ("m*a*s*h", ["M*A*S*H"]),
        ("off face", ["Face/Off"]),
        ("war", ["The War", "War Games", "Star Wars", "M*A*S*H"]),
        ("star trek", []),
    ],
)
async def test_words_are_found_by_their_beginnings_in_any_case_accent_and_order(
    catalog: CatalogServiceClient, put: Put, query: str, found: list[str]
) -> None:
    for title in ("Star Wars", "Les Misérables", "Schindler's List", "Face/Off", "War Games", "The War"):
        await put(title)
    await put("M*A*S*H", description="A comedy about a war.")

    assert await _titles(catalog, query=query) == found


ODD = [
    "'", "''; DROP TABLE product; --", "&", "a & b | !c", ":*", "a:*", "\\", "$1", "%", "_", "(", "<->", "\t\n", "🎬",
    "〇", "a" * 99, " a" * 49,
    "\u1680x\u1680y", "\u200b", "ß", "é́", "-1e5", "a@b.c/d?e=f", "<b>x</b>", "\x01", "NULL", "toy",
]  # fmt: skip


@pytest.mark.parametrize("order_by", ["", "title"])
async def test_no_query_is_too_odd(catalog: CatalogServiceClient, put: Put, order_by: str) -> None:
    await put("Toy Story")

    for query in ODD:
        assert await _titles(catalog, query=query, category=f"/{query}", order_by=order_by) == [], query
        assert await _titles(catalog, query=query, order_by=order_by) in ([], ["Toy Story"]), query


@pytest.mark.parametrize("query", ["", "  ", "&&", "'", "!?"])
async def test_without_a_word_everything_is_found_by_title(catalog: CatalogServiceClient, put: Put, query: str) -> None:
    for title in ("b", "Á", "C"):
        await put(title)

    assert await _titles(catalog, query=query) == ["Á", "b", "C"]


async def test_a_nul_is_refused_before_it_reaches_the_database(catalog: CatalogServiceClient) -> None:
    with pytest.raises(Refusal, match="INVALID_ARGUMENT"):
        await _titles(catalog, query="a\0b")


async def test_filters_narrow_by_category_id_or_name_and_by_seller(
    catalog: CatalogServiceClient, put: Put, alice: Identity, bob: Identity
) -> None:
    await put("A", category_ids=(DRAMA,))
    await put("B", category_ids=(WAR, DRAMA))
    await put("C", category_ids=(WAR,))

    assert await _titles(catalog, category="wAR") == ["B", "C"]
    assert await _titles(catalog, category=WAR.upper()) == ["B", "C"]
    assert await _titles(catalog, category="Western") == []
    assert await _titles(catalog, seller_id=alice.user_id) == ["A", "B", "C"]
    assert await _titles(catalog, seller_id=bob.user_id) == []


@pytest.mark.parametrize(
    ("order_by", "titles"),
    [("price", ["B", "C", "A"]), ("price desc", ["A", "C", "B"]), ("newest", ["C", "B", "A"]), ("", ["A", "B", "C"])],
)
async def test_orders(catalog: CatalogServiceClient, put: Put, order_by: str, titles: list[str]) -> None:
    for title, cents in (("A", 300), ("B", 100), ("C", 200)):
        await put(title, cents)

    assert await _titles(catalog, order_by=order_by) == titles


@pytest.mark.parametrize("order_by", ORDERS)
@pytest.mark.parametrize("seed", range(3))
async def test_pages_show_everything_that_stays_exactly_once_while_others_write(
    catalog: CatalogServiceClient, put: Put, order_by: str, seed: int
) -> None:
    chance = random.Random(f"{order_by}-{seed}")  # noqa: S311 - a test's dice
    titles = ["film", "film a", "film film", "film b", "afilm film"]
    stay = [(await put(chance.choice(titles), chance.choice([100, 200]))).product_id for _ in range(14)]
    go = [(await put(chance.choice(titles), chance.choice([100, 200]))).product_id for _ in range(6)]

    seen: list[str] = []
    request = pb.SearchProductsRequest(query="film", order_by=order_by, page_size=3)
    async for page in _pages(catalog, request):
        seen += [product.product_id for product in page]
        for _ in range(chance.randrange(2)):
            await put(chance.choice(titles), chance.choice([50, 100, 200, 300]))
        if go and chance.random() < 0.7:
            await catalog.delete_product(pb.DeleteProductRequest(product_id=go.pop()))
        request.page_size = chance.choice([1, 3, 7])

    assert len(seen) == len(set(seen))
    assert set(stay) <= set(seen)


async def test_a_page_that_holds_the_rest_has_no_successor(catalog: CatalogServiceClient, put: Put) -> None:
    for title in "abcd":
        await put(title)

    sizes = [len(page) async for page in _pages(catalog, pb.SearchProductsRequest(page_size=2))]

    assert sizes == [2, 2]


@pytest.mark.parametrize("order_by", ["title", "relevance"])
async def test_titles_of_any_length_and_script_can_be_paged(
    catalog: CatalogServiceClient, put: Put, order_by: str
) -> None:
    titles = ["Ж" * 200, "Ж" * 199 + "Ф", "🎬" * 200, "ﷺ" * 200, "\ufeffa", "\ue000b", "ſ" * 200, "ж " * 99 + "ж", "ß"]
    for title in titles:
        await put(title, description="film")

    request = pb.SearchProductsRequest(query="film" if order_by == "relevance" else "", order_by=order_by, page_size=1)
    seen = [product.title async for page in _pages(catalog, request) for product in page]

    assert sorted(seen) == sorted(titles)


@pytest.mark.parametrize(
    "other", [{"query": "x"}, {"category": "drama"}, {"order_by": "price"}, {"seller_id": str(uuid4())}]
)
async def test_a_token_of_another_query_is_refused(
    catalog: CatalogServiceClient, put: Put, other: dict[str, str]
) -> None:
    await put("a")
    await put("b")
    token = (await catalog.search_products(pb.SearchProductsRequest(page_size=1))).next_page_token
    assert token

    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        await _titles(catalog, page_token=token, page_size=1, **other)


POSITIONS: list[object] = [
    [], ["a"], [1, 2], ["a", "b"], ["a", str(uuid4()), 1], ["a\0", str(uuid4())], [2**63, str(uuid4())],
    [-(2**63) - 1, str(uuid4())], [10**30, str(uuid4())], [1, str(uuid4()) + "\0"], ["\ud800", str(uuid4())],
]  # fmt: skip


@pytest.mark.parametrize("order_by", ORDERS)
async def test_a_forged_position_is_refused_and_never_breaks_the_query(
    catalog: CatalogServiceClient, put: Put, order_by: str
) -> None:
    await put("a")
    await put("ab")
    request = pb.SearchProductsRequest(query="a", order_by=order_by, page_size=1)
    token = (await catalog.search_products(request)).next_page_token
    bound = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))[:8]

    for position in POSITIONS:
        request.page_token = base64.urlsafe_b64encode(bound + json.dumps(position).encode()).rstrip(b"=").decode()
        with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
            await catalog.search_products(request)
