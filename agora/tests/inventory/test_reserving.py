import asyncio

import asyncpg
import pytest
from stockroom import MINUTE, Put, lines, product, warehouse

from agora.inventory.domain import Allocation, Reservation, State
from agora.inventory.service import InventoryService
from tricorn.contract import Refusal
from tricorn.host.testing import TestApp

pytestmark = pytest.mark.usefixtures("conserved")


async def _available(service: InventoryService, *numbers: int) -> list[int]:
    return [stock.available for stock in await service.stock_of([product(number) for number in numbers])]


async def test_what_is_reserved_is_no_longer_available(service: InventoryService, put: Put) -> None:
    await put(1, 5)
    reservation = await service.reserve("k", lines((1, 2)), MINUTE)
    assert reservation.state is State.HELD
    assert await _available(service, 1) == [3]


async def test_the_warehouse_with_most_gives_first_and_of_two_alike_the_one_with_the_lower_id(
    service: InventoryService, put: Put
) -> None:
    await put(1, 4, 7, 4)
    reservation = await service.reserve("k", lines((1, 12)), MINUTE)
    assert reservation.allocations == (
        Allocation(product(1), warehouse(2), 7),
        Allocation(product(1), warehouse(1), 4),
        Allocation(product(1), warehouse(3), 1),
    )


async def test_when_one_line_is_short_nothing_is_reserved(service: InventoryService, put: Put) -> None:
    await put(1, 5)
    await put(2, 1, 1)
    with pytest.raises(Refusal) as refused:
        await service.reserve("k", lines((1, 5), (2, 3)), MINUTE)
    assert refused.value.reason == "OUT_OF_STOCK"
    assert refused.value.metadata == {"product_id": product(2), "requested": "3", "available": "2"}
    assert await _available(service, 1, 2) == [5, 2]


async def test_an_unknown_product_is_out_of_stock(service: InventoryService) -> None:
    with pytest.raises(Refusal) as refused:
        await service.reserve("k", lines((9, 1)), MINUTE)
    assert refused.value.metadata["available"] == "0"


async def test_a_refusal_is_not_remembered(service: InventoryService, put: Put) -> None:
    await put(1, 0)
    with pytest.raises(Refusal):
        await service.reserve("k", lines((1, 1)), MINUTE)
    await service.restock("r", lines((1, 1)), None)
    assert (await service.reserve("k", lines((1, 1)), MINUTE)).state is State.HELD


async def test_a_key_gives_its_reservation_again_even_when_nothing_is_left(service: InventoryService, put: Put) -> None:
    await put(1, 2)
    await put(2, 2)
    first = await service.reserve("k", lines((1, 2), (2, 1)), MINUTE)
    again = await service.reserve("k", lines((2, 1), (1, 2)), MINUTE)
    assert again == first
    assert await _available(service, 1, 2) == [0, 1]


async def test_a_key_with_other_lines_is_refused(service: InventoryService, put: Put) -> None:
    await put(1, 5)
    await service.reserve("k", lines((1, 2)), MINUTE)
    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await service.reserve("k", lines((1, 3)), MINUTE)
    assert await _available(service, 1) == [3]


async def test_two_calls_with_one_key_at_once_make_one_reservation(service: InventoryService, put: Put) -> None:
    await put(1, 100)
    for attempt in range(20):
        calls = [service.reserve(f"k{attempt}", lines((1, 2)), MINUTE) for _ in range(4)]
        reservations = await asyncio.gather(*calls)
        assert len({reservation.reservation_id for reservation in reservations}) == 1
    assert await _available(service, 1) == [60]


async def test_fifty_at_once_never_get_more_than_the_twenty_units_there_are(
    service: InventoryService, put: Put
) -> None:
    await put(1, 8, 7, 5)
    calls = [service.reserve(f"k{number}", lines((1, 1)), MINUTE) for number in range(50)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Reservation, Refusal}
    assert sum(isinstance(outcome, Reservation) for outcome in outcomes) == 20
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)} == {"OUT_OF_STOCK"}
    assert await _available(service, 1) == [0]


async def test_lines_in_opposite_orders_do_not_deadlock(service: InventoryService, put: Put) -> None:
    for number in range(1, 6):
        await put(number, 40, 40)
    wanted = [(number, 1) for number in range(1, 6)]

    async def buy(number: int) -> None:
        order = wanted if number % 2 else wanted[::-1]
        reservation = await service.reserve(f"k{number}", lines(*order), MINUTE)
        await (service.confirm if number % 3 else service.release)(reservation.reservation_id)

    await asyncio.gather(*(buy(number) for number in range(60)))
    assert await _available(service, 1, 2, 3, 4, 5) == [40] * 5


async def test_the_database_refuses_stock_below_zero_and_units_from_nowhere(app: TestApp, put: Put) -> None:
    await put(1, 3)
    database = app.database("inventory")
    with pytest.raises(asyncpg.CheckViolationError, match="stock_is_never_below_zero"):
        await database.execute("UPDATE stock SET available = available - 4, held = held + 4")
    with pytest.raises(asyncpg.CheckViolationError, match="stock_is_conserved"):
        await database.execute("UPDATE stock SET available = available + 1")


async def test_others_read_stock_from_the_published_view(app: TestApp, put: Put) -> None:
    await put(1, 3, 4)
    rows = await app.database("inventory").fetch("SELECT available FROM published.stock_v1 ORDER BY warehouse_id")
    assert [row["available"] for row in rows] == [3, 4]
