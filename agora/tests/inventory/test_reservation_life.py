from datetime import timedelta

import pytest
from stockroom import MINUTE, Overdue, Put, lines, product, warehouse

from agora.inventory.domain import State
from agora.inventory.events import Sweeper
from agora.inventory.repository import InventoryRepository
from agora.inventory.service import InventoryService
from agora_proto.inventory.v1.events_pb2 import ReservationExpired
from tricorn.contract import Refusal
from tricorn.data import uuid7
from tricorn.host.testing import TestApp

pytestmark = pytest.mark.usefixtures("conserved")


@pytest.fixture
def sweeper(app: TestApp) -> Sweeper:
    return Sweeper(app.host("inventory").begin(InventoryRepository), interval=3600)


async def _counters(app: TestApp) -> tuple[int, int, int]:
    row = await app.database("inventory").fetchrow("SELECT sum(available), sum(held), sum(sold) FROM stock")
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


async def test_a_confirmed_reservation_is_sold_once(app: TestApp, service: InventoryService, put: Put) -> None:
    await put(1, 3, 3)
    held = await service.reserve("k", lines((1, 5)), MINUTE)
    assert (await service.confirm(held.reservation_id)).state is State.CONFIRMED
    assert (await service.confirm(held.reservation_id)).state is State.CONFIRMED
    assert await _counters(app) == (1, 0, 5)


async def test_a_released_reservation_gives_its_stock_back_once(
    app: TestApp, service: InventoryService, put: Put
) -> None:
    await put(1, 3, 3)
    held = await service.reserve("k", lines((1, 5)), MINUTE)
    assert (await service.release(held.reservation_id)).state is State.RELEASED
    assert (await service.release(held.reservation_id)).state is State.RELEASED
    assert await _counters(app) == (6, 0, 0)


async def test_a_confirmed_reservation_cannot_be_released_nor_a_released_one_confirmed(
    service: InventoryService, put: Put
) -> None:
    await put(1, 2)
    sold = await service.reserve("a", lines((1, 1)), MINUTE)
    released = await service.reserve("b", lines((1, 1)), MINUTE)
    await service.confirm(sold.reservation_id)
    await service.release(released.reservation_id)
    for call in (service.release(sold.reservation_id), service.confirm(released.reservation_id)):
        with pytest.raises(Refusal, match="INVALID_STATE"):
            await call


async def test_what_is_over_reads_expired_and_is_not_confirmed_although_nobody_swept_yet(
    app: TestApp, service: InventoryService, put: Put, overdue: Overdue
) -> None:
    await put(1, 2)
    held = await service.reserve("k", lines((1, 1)), MINUTE)
    await overdue(held)
    assert (await service.reservation(held.reservation_id)).state is State.EXPIRED
    with pytest.raises(Refusal, match="RESERVATION_EXPIRED"):
        await service.confirm(held.reservation_id)
    with pytest.raises(Refusal, match="RESERVATION_EXPIRED"):
        await service.prolong(held.reservation_id, MINUTE)
    assert await _counters(app) == (1, 1, 0)


async def test_the_sweeper_gives_back_what_is_over_and_leaves_the_rest(
    app: TestApp, service: InventoryService, put: Put, overdue: Overdue, sweeper: Sweeper
) -> None:
    await put(1, 3, 3)
    late = await service.reserve("a", lines((1, 4)), MINUTE)
    await service.reserve("b", lines((1, 1)), MINUTE)
    await overdue(late)
    assert await sweeper.sweep() == 1
    assert await sweeper.sweep() == 0
    assert (await service.reservation(late.reservation_id)).state is State.EXPIRED
    assert await _counters(app) == (5, 1, 0)


async def test_an_expired_reservation_is_announced_with_its_lines(
    app: TestApp, service: InventoryService, put: Put, overdue: Overdue, sweeper: Sweeper
) -> None:
    await put(1, 3)
    await put(2, 3)
    late = await service.reserve("k", lines((2, 1), (1, 2)), MINUTE)
    await overdue(late)
    await sweeper.sweep()
    row = await app.admin.fetchrow("SELECT subject, type, data FROM inventory.outbox")
    assert row is not None
    event = ReservationExpired.FromString(row["data"])
    assert row["subject"] == event.reservation_id == late.reservation_id
    assert [(line.product_id, line.quantity) for line in event.lines] == [(product(2), 1), (product(1), 2)]


async def test_releasing_what_is_over_gives_it_back_and_after_the_sweep_changes_nothing(
    app: TestApp, service: InventoryService, put: Put, overdue: Overdue, sweeper: Sweeper
) -> None:
    await put(1, 4)
    first = await service.reserve("a", lines((1, 1)), MINUTE)
    second = await service.reserve("b", lines((1, 1)), MINUTE)
    await overdue(first)
    await overdue(second)
    assert (await service.release(first.reservation_id)).state is State.RELEASED
    assert await sweeper.sweep() == 1
    assert (await service.release(second.reservation_id)).state is State.EXPIRED
    assert await _counters(app) == (4, 0, 0)


async def test_prolonging_counts_from_now_and_never_shortens(service: InventoryService, put: Put) -> None:
    await put(1, 1)
    held = await service.reserve("k", lines((1, 1)), MINUTE)
    longer = await service.prolong(held.reservation_id, timedelta(hours=1))
    assert longer.expire_time - held.expire_time > timedelta(minutes=58)
    assert (await service.prolong(held.reservation_id, MINUTE)).expire_time == longer.expire_time


async def test_what_does_not_exist_is_not_found(service: InventoryService) -> None:
    missing = uuid7()
    for call in (
        service.confirm(missing),
        service.release(missing),
        service.prolong(missing, MINUTE),
        service.reservation(missing),
        service.restock("k", lines((1, 1)), missing),
        service.restock("k", lines((1, 1)), None),
    ):
        with pytest.raises(Refusal, match="NOT_FOUND"):
            await call


async def test_a_delivery_is_added_once_for_its_key(app: TestApp, service: InventoryService, put: Put) -> None:
    await put(1, 3, 5)
    for _ in range(2):
        [first, second] = await service.restock("k", lines((1, 2), (2, 4)), None)
        assert [place.available for place in first.warehouses] == [3, 7]
        assert [(place.warehouse_id, place.available) for place in second.warehouses] == [(warehouse(1), 4)]
    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await service.restock("k", lines((1, 3), (2, 4)), None)
    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await service.restock("k", lines((1, 2), (2, 4)), warehouse(1))
    assert await _counters(app) == (14, 0, 0)
