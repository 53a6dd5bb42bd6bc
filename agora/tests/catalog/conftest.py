"""The catalogue alone, on a database of the test's own, with two sellers and two categories."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agora_proto.catalog.v1 import catalog_pb2 as pb
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from agora_proto.v1.money_pb2 import Money
from tricorn.data import Database, EmbeddedPostgres
from tricorn.host.testing import TestApp, running
from tricorn.wire import Identity

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
DRAMA = "11111111-1111-4111-8111-111111111111"
WAR = "22222222-2222-4222-8222-222222222222"

Put = Callable[..., Awaitable[pb.Product]]


async def _categories(admin: Database) -> None:
    await admin.executemany("INSERT INTO catalog.category VALUES ($1, $2)", [(DRAMA, "Drama"), (WAR, "War")])


@pytest.fixture
async def app(postgres: EmbeddedPostgres) -> AsyncIterator[TestApp]:
    async with running(postgres, APPLICATION, ["catalog"], prepare=_categories) as app:
        yield app


@pytest.fixture
def alice() -> Identity:
    return Identity("aaaaaaaa-0000-4000-8000-000000000001", "s1", frozenset({"seller"}))


@pytest.fixture
def bob() -> Identity:
    return Identity("bbbbbbbb-0000-4000-8000-000000000002", "s2", frozenset({"seller"}))


@pytest.fixture
def catalog(app: TestApp, alice: Identity) -> CatalogServiceClient:
    """The catalogue as Alice calls it."""
    return app.client(CatalogServiceClient, user=alice)


@pytest.fixture
def put(catalog: CatalogServiceClient) -> Put:
    """Puts a product of Alice's on sale."""

    async def put(
        title: str, cents: int = 999, *, category_ids: tuple[str, ...] = (DRAMA,), **fields: Any
    ) -> pb.Product:
        return await catalog.create_product(
            pb.CreateProductRequest(
                title=title, base_price=Money(currency="USD", minor_units=cents), category_ids=category_ids, **fields
            )
        )

    return put
