"""The six contexts that an order runs through, on a database of the test's own, with two films on sale."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tricorn import failpoints
from tricorn.data import Database, EmbeddedPostgres
from tricorn.host.testing import running

sys.path.insert(0, str(Path(__file__).parent))

from market import CONTEXTS, FEW, MANY, SELLER, Market

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
WAREHOUSE = "33333333-3333-4333-8333-333333333333"
CATEGORY = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
async def market(postgres: EmbeddedPostgres) -> AsyncIterator[Market]:
    async with running(postgres, APPLICATION, CONTEXTS, prepare=_stock) as app:
        yield Market(app)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


async def _stock(admin: Database) -> None:
    await admin.execute("INSERT INTO catalog.category VALUES ($1, 'Drama')", CATEGORY)
    await admin.execute("INSERT INTO inventory.warehouse VALUES ($1, 'North', 'Springfield')", WAREHOUSE)
    for product, title, price, units in ((MANY, "Many", 1999, 100), (FEW, "Few", 500, 5)):
        await admin.execute(
            """
            INSERT INTO catalog.product (product_id, seller_id, title, description, category_ids, base_price_minor_units,
                release_year, created_at, updated_at) VALUES ($1, $2, $3, '', ARRAY[$4::uuid], $5, 1995, now(), now())
            """,
            product, SELLER, title, CATEGORY, price,
        )  # fmt: skip
        await admin.execute(
            "INSERT INTO inventory.stock (product_id, warehouse_id, received, available) VALUES ($1, $2, $3::int, $3::int)",
            product, WAREHOUSE, units,
        )  # fmt: skip
