"""The storefront with the contexts it asks, on a database of the test's own. Orders are not there."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest

from tricorn.data import Database, EmbeddedPostgres
from tricorn.host.testing import TestApp, running
from tricorn.wire import Identity

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
DRAMA = "11111111-1111-4111-8111-111111111111"
WAREHOUSE = "33333333-3333-4333-8333-333333333333"
ALICE = "aaaaaaaa-0000-4000-8000-000000000001"


@dataclass
class Shelf:
    """Rows of the shop, put in before it starts."""

    admin: Database

    async def product(self, name: str, cents: int, units: int) -> str:
        """A product of Alice's: its id."""
        product_id = str(uuid5(NAMESPACE_URL, name))
        await self.admin.execute(
            """
            INSERT INTO catalog.product (
                product_id, seller_id, title, description, category_ids, base_price_minor_units, release_year,
                created_at, updated_at
            ) VALUES ($1, $2, $3, '', ARRAY[$4::uuid], $5, 0, now(), now())
            """,
            product_id,
            ALICE,
            name,
            DRAMA,
            cents,
        )
        if units:
            await self.admin.execute(
                """
                INSERT INTO inventory.stock (product_id, warehouse_id, received, available)
                VALUES ($1, $2, $3::integer, $3::integer)
                """,
                product_id,
                WAREHOUSE,
                units,
            )
        return product_id


async def _prepare(admin: Database) -> None:
    await admin.execute("INSERT INTO catalog.category VALUES ($1, 'Drama')", DRAMA)
    await admin.execute("INSERT INTO inventory.warehouse VALUES ($1, 'North', 'Oslo')", WAREHOUSE)
    await admin.execute(
        "INSERT INTO pricing.promotion (promotion_id, name, coupon_code, terms) VALUES ('tenth', '', 'TENTH', $1)",
        '{"kind": "percent_off", "basis_points": 1000, "categories": [], "products": []}',
    )


@pytest.fixture
async def app(postgres: EmbeddedPostgres) -> AsyncIterator[TestApp]:
    contexts = ["catalog", "inventory", "pricing", "storefront"]
    async with running(postgres, APPLICATION, contexts, prepare=_prepare) as app:
        yield app


@pytest.fixture
def shelf(app: TestApp) -> Shelf:
    return Shelf(app.admin)


@pytest.fixture
def alice() -> Identity:
    return Identity(ALICE, "s1", frozenset({"seller"}))


@pytest.fixture
def bob() -> Identity:
    return Identity("bbbbbbbb-0000-4000-8000-000000000002", "s2", frozenset({"seller"}))


@pytest.fixture
def calls(app: TestApp) -> Callable[[], Counter[str]]:
    """The calls so far, by method."""

    def calls() -> Counter[str]:
        return Counter({figures.service: figures.calls for figures in app.process.stats.methods()})

    return calls
