"""Inventory on a database of the test's own."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agora.inventory.domain import Reservation
from agora.inventory.repository import InventoryRepository
from agora.inventory.service import InventoryService
from tricorn.data import EmbeddedPostgres
from tricorn.host.testing import TestApp, running

sys.path.insert(0, str(Path(__file__).parent))

from stockroom import Overdue, Put, product, warehouse

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"


@pytest.fixture
async def app(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestApp]:
    # The tests sweep by hand.
    monkeypatch.setenv("AGORA_INVENTORY_SWEEP_SECONDS", "3600")
    async with running(postgres, APPLICATION, ["inventory"]) as app:
        yield app


@pytest.fixture
def service(app: TestApp) -> InventoryService:
    return InventoryService(InventoryRepository(app.database("inventory")))


@pytest.fixture
async def put(app: TestApp) -> Put:
    """Fills warehouses 1, 2, ... with a product: its number, then the units for each."""
    database = app.database("inventory")

    async def put(number: int, *available: int) -> None:
        for at, units in enumerate(available, 1):
            await database.execute(
                "INSERT INTO warehouse VALUES ($1, $2, 'Springfield') ON CONFLICT DO NOTHING", warehouse(at), f"W{at}"
            )
            await database.execute(
                "INSERT INTO stock (product_id, warehouse_id, received, available) VALUES ($1, $2, $3::int, $3::int)",
                product(number),
                warehouse(at),
                units,
            )

    return put


@pytest.fixture
def overdue(app: TestApp) -> Overdue:
    """Lets a reservation's time be over."""

    async def overdue(reservation: Reservation) -> None:
        await app.database("inventory").execute(
            "UPDATE reservation SET expire_time = now() - interval '1 second' WHERE reservation_id = $1",
            reservation.reservation_id,
        )

    return overdue


@pytest.fixture
async def conserved(app: TestApp) -> AsyncIterator[None]:
    """Afterwards no unit is missing, and what rows hold and have sold is what reservations say."""
    yield
    wrong = await app.database("inventory").fetch("""
        SELECT product_id, warehouse_id FROM stock LEFT JOIN (
            SELECT a.product_id, a.warehouse_id,
                coalesce(sum(quantity) FILTER (WHERE state = 'HELD'), 0) AS held,
                coalesce(sum(quantity) FILTER (WHERE state = 'CONFIRMED'), 0) AS sold
            FROM reservation,
                unnest(product_ids, warehouse_ids, quantities) AS a (product_id, warehouse_id, quantity)
            GROUP BY a.product_id, a.warehouse_id
        ) AS claimed USING (product_id, warehouse_id)
        WHERE stock.held <> coalesce(claimed.held, 0) OR stock.sold <> coalesce(claimed.sold, 0)
            OR received <> available + stock.held + stock.sold""")
    assert wrong == []
