"""Who comes alone goes on at once; who comes soon after somebody goes on with the others."""

import asyncio

import pytest

from tricorn.data import Pace


class Clock:
    """The loop's time, which stands still until it is moved on."""

    def __init__(self) -> None:
        self.now = 100.0

    async def move(self, seconds: float) -> None:
        self.now += seconds
        await turns()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock.now)
    return clock


async def test_who_comes_alone_never_waits(clock: Clock) -> None:
    pace = Pace(0.1)

    await pace()
    await clock.move(0.2)
    await pace()


async def test_who_comes_soon_after_waits_for_the_others_and_goes_on_with_them(clock: Clock) -> None:
    pace = Pace(0.1)
    await pace()
    first = asyncio.create_task(pace())
    await clock.move(0.06)
    second = asyncio.create_task(pace())
    await turns()
    before = first.done(), second.done()

    await clock.move(0.06)

    assert (before, first.done(), second.done()) == ((False, False), True, True)


async def test_who_is_let_on_makes_the_next_wait_again(clock: Clock) -> None:
    pace = Pace(0.1)
    await pace()
    first = asyncio.create_task(pace())
    await clock.move(0.12)
    second = asyncio.create_task(pace())
    await turns()
    between = first.done(), second.done()

    await clock.move(0.12)

    assert (between, second.done()) == ((True, False), True)


async def test_who_stops_waiting_holds_up_nobody(clock: Clock) -> None:
    pace = Pace(0.1)
    await pace()
    gone, stays = asyncio.create_task(pace()), asyncio.create_task(pace())
    await turns()
    gone.cancel()

    await clock.move(0.12)

    assert (gone.cancelled(), stays.done()) == (True, True)
