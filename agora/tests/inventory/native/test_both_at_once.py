"""Python and Go serve the same rows at the same time: no unit appears, vanishes or is promised twice, and nobody waits in a circle."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import pytest
from native_inventory import NativeInventory
from stockroom import MINUTE, Put, lines, product

from agora.inventory.repository import InventoryRepository
from agora.inventory.service import InventoryService
from agora_proto.inventory.v1 import inventory_pb2 as pb
from tricorn.contract import Refusal
from tricorn.host.testing import TestApp

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("conserved")]

_CALLERS = 24
_CALLS = 25
_SECONDS = 60
# What the business says, and what haste may: somebody else has the key, or a row for longer than a call may take.
_SAID = {"OUT_OF_STOCK", "IDEMPOTENCY_KEY_REUSED", "INVALID_STATE"}
_HASTE = {"ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"}

_T = TypeVar("_T")


async def _insist(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Asks until the business has answered."""
    while True:
        try:
            return await ask()
        except Refusal as refusal:
            if refusal.reason not in _HASTE:
                raise
        await asyncio.sleep(0.02)


async def test_a_rush_on_both_keeps_every_unit(
    app: TestApp, service: InventoryService, native: NativeInventory, put: Put
) -> None:
    """More is asked for than there is; half of what is reserved is sold, and the rest let go of."""
    for number in range(1, 7):
        await put(number, 120, 60)
    made, refused = Counter[object](), Counter[str]()
    sold: dict[str, int] = {}

    async def caller(seed: int) -> None:
        draw = random.Random(seed)  # noqa: S311
        for _ in range(_CALLS):
            wanted = lines(*((number, draw.randint(1, 3)) for number in draw.sample(range(1, 7), draw.randint(1, 4))))
            # A tenth of all keys is asked for by several, on either side, with lines of their own.
            key = f"shared-{draw.randint(0, 30)}" if draw.random() < 0.1 else f"{seed}-{draw.random()}"
            side, other = draw.choice([service, native]), draw.choice([service, native])
            sells = draw.random() < 0.5
            try:
                held = (await _insist(partial(side.reserve, key, wanted, MINUTE))).reservation_id
                made[side] += 1
                await _insist(partial(other.confirm if sells else other.release, held))
                if sells:
                    sold[held] = sum(line.quantity for line in wanted)
            except Refusal as refusal:
                refused[refusal.reason] += 1

    async with asyncio.timeout(_SECONDS):
        await asyncio.gather(*map(caller, range(_CALLERS)))

    assert set(refused) <= _SAID
    assert min(made[service], made[native]) > _CALLERS * _CALLS / 5
    stock = await app.admin.fetchrow("SELECT sum(available), sum(held), sum(sold) FROM inventory.stock")
    assert tuple(stock or ()) == (6 * 180 - sum(sold.values()), 0, sum(sold.values()))
    assert await app.admin.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def test_the_last_units_are_sold_once_whoever_is_asked(
    service: InventoryService, native: NativeInventory, put: Put
) -> None:
    await put(1, 8, 7, 5)
    sides = [service, native]

    calls = [sides[number % 2].reserve(f"k{number}", lines((1, 1)), MINUTE) for number in range(60)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(outcomes) - len(refused) == 20
    assert {getattr(outcome, "reason", outcome) for outcome in refused} == {"OUT_OF_STOCK"}
    assert [stock.available for stock in await service.stock_of([product(1)])] == [0]


async def test_a_key_is_one_reservation_whoever_is_asked(
    service: InventoryService, native: NativeInventory, put: Put
) -> None:
    await put(1, 100)
    for attempt in range(10):
        sides = [service, native, service, native]
        made = await asyncio.gather(*(_reserved(side, f"k{attempt}") for side in sides))
        assert len(set(made)) == 1
    assert [stock.available for stock in await service.stock_of([product(1)])] == [80]


async def test_both_say_the_same_of_a_reservation_and_refuse_in_the_same_words(
    app: TestApp, service: InventoryService, native: NativeInventory, put: Put
) -> None:
    await put(1, 3, 4)
    made = await native.reserve("k", lines((1, 5)), MINUTE)
    seen = await InventoryRepository(app.database("inventory")).reservation(made.reservation_id)
    assert seen is not None
    assert [(line.product_id, line.quantity) for line in seen.lines] == [
        (line.product_id, line.quantity) for line in made.lines
    ]
    assert made.state == pb.Reservation.STATE_HELD
    await service.confirm(made.reservation_id)
    unknown = product(9)

    for asked in (
        lambda side: side.reserve("other", lines((1, 3)), MINUTE),
        lambda side: side.reserve("k", lines((1, 4)), MINUTE),
        lambda side: side.release(made.reservation_id),
        lambda side: side.confirm(unknown),
    ):
        said = []
        for side in (service, native):
            with pytest.raises(Refusal) as refused:
                await asked(side)
            said.append((refused.value.reason, refused.value.detail, refused.value.metadata))
        assert said[0] == said[1]


async def _reserved(side: InventoryService | NativeInventory, key: str) -> str:
    """The reservation's id; asking again while somebody else has the key is what callers do."""
    while True:
        try:
            return (await side.reserve(key, lines((1, 2)), MINUTE)).reservation_id
        except Refusal as refusal:
            if refusal.reason != "ABORTED":
                raise
