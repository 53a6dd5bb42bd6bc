"""Which rows a call holds while it waits for one that somebody else holds: what rules out deadlocks."""

import asyncio

import pytest
from stockroom import MINUTE, Put, lines, product

from agora.inventory.domain import State
from agora.inventory.repository import InventoryRepository
from agora.inventory.service import InventoryService
from tricorn.data import Connection, Database
from tricorn.host.testing import TestApp


@pytest.fixture
async def database(app: TestApp, put: Put) -> Database:
    for number in range(1, 6):
        await put(number, 10)
    return app.database("inventory")


async def _hold(connection: Connection, number: int) -> None:
    await connection.execute("SELECT FROM stock WHERE product_id = $1 FOR UPDATE", product(number))


async def _until_somebody_waits(database: Database) -> None:
    while not await database.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        pass


async def _free(database: Database) -> list[str]:
    async with database.transaction() as connection:
        rows = await connection.fetch(
            "SELECT product_id::text FROM stock ORDER BY stock.product_id FOR UPDATE SKIP LOCKED"
        )
    return [row[0] for row in rows]


async def test_stock_is_locked_in_the_order_of_its_ids_whatever_the_order_of_the_lines(
    service: InventoryService, database: Database
) -> None:
    async with database.transaction() as other:
        await _hold(other, 3)
        wanted = lines((5, 1), (2, 1), (4, 1), (3, 1), (1, 1))
        reserving = asyncio.create_task(service.reserve("k", wanted, MINUTE))
        await _until_somebody_waits(database)
        assert await _free(database) == [product(4), product(5)]
    await reserving


@pytest.mark.parametrize("action", ["confirm", "release"])
async def test_whoever_settles_a_reservation_waits_for_its_stock_before_touching_it(
    service: InventoryService, database: Database, action: str
) -> None:
    held = await service.reserve("k", lines((5, 1), (3, 1), (1, 1)), MINUTE)
    async with database.transaction() as other:
        await _hold(other, 3)
        settling = asyncio.create_task(getattr(service, action)(held.reservation_id))
        await _until_somebody_waits(database)
        assert await _free(database) == [product(2), product(4), product(5)]
        untouched = "SELECT count(*) FROM (SELECT FROM reservation FOR UPDATE SKIP LOCKED) AS free"
        assert await database.fetchval(untouched) == 1
    await settling


async def test_a_known_key_is_answered_without_waiting_for_stock(service: InventoryService, database: Database) -> None:
    held = await service.reserve("k", lines((3, 1)), MINUTE)
    async with database.transaction() as other:
        await _hold(other, 3)
        assert await service.reserve("k", lines((3, 1)), MINUTE) == held


async def test_units_that_come_back_while_a_reservation_waits_are_its_own(
    service: InventoryService, database: Database
) -> None:
    first = await service.reserve("first", lines((1, 9)), MINUTE)
    async with database.transaction() as other:
        await InventoryRepository(other).release(first.reservation_id)
        reserving = asyncio.create_task(service.reserve("second", lines((1, 10)), MINUTE))
        await _until_somebody_waits(database)
    assert (await reserving).state is State.HELD
