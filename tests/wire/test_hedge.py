"""Two tries at one answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.message import Message

from tricorn.contract import PlatformReason, Refusal
from tricorn.v1.stats_pb2 import ProcessStats
from tricorn.wire.hedge import first_answer

SOON, NEVER = 0.01, 60.0
GONE = Refusal(PlatformReason.UNAVAILABLE, "gone")
NO = Refusal(PlatformReason.NOT_FOUND, "nothing there")


class Try:
    """Ends as a test tells it to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.end: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    async def run(self) -> Message:
        self.begun.set()
        try:
            return await self.end
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def _named(name: str) -> Message:
    return ProcessStats(process=name)


def _hedged(first: Try, second: Try, patience: float) -> asyncio.Task[Message | asyncio.Task[Message]]:
    return asyncio.create_task(
        first_answer(first.run(), patience, second.run, lambda refusal: refusal.reason == PlatformReason.UNAVAILABLE)
    )


@pytest.fixture(autouse=True)
async def _nothing_fails_unseen() -> AsyncIterator[None]:
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    yield
    await asyncio.sleep(0)
    assert unseen == []


async def test_a_prompt_first_try_is_the_only_one() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, NEVER)
    first.end.set_result(_named("first"))

    assert await answer == _named("first")
    assert not second.begun.is_set()


async def test_the_first_answer_ends_the_other_try() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()
    second.end.set_result(_named("second"))

    found = await answer

    assert isinstance(found, asyncio.Task)
    assert found.result() == _named("second")
    assert first.cancelled.is_set()


async def test_a_late_first_try_may_still_win() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()
    first.end.set_result(_named("first"))

    assert await answer == _named("first")
    async with asyncio.timeout(10):
        await second.cancelled.wait()


async def test_a_first_try_that_is_gone_leaves_the_second_its_time() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()
    first.end.set_exception(GONE)
    await asyncio.wait({first.end})
    second.end.set_result(_named("second"))

    found = await answer

    assert isinstance(found, asyncio.Task)
    assert found.result() == _named("second")


async def test_a_refusal_of_the_first_try_is_its_answer() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()
    first.end.set_exception(NO)

    with pytest.raises(Refusal, match="NOT_FOUND"):
        await answer


async def test_a_refusal_of_the_second_try_is_an_answer() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()
    second.end.set_exception(NO)

    found = await answer

    assert isinstance(found, asyncio.Task)
    assert found.exception() is NO


async def test_a_second_try_that_finds_nobody_leaves_the_first_its_time() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()
    second.end.set_exception(GONE)
    await asyncio.wait({second.end})
    first.end.set_result(_named("first"))

    assert await answer == _named("first")


async def test_whoever_gives_up_ends_both() -> None:
    first, second = Try(), Try()
    answer = _hedged(first, second, SOON)
    await second.begun.wait()

    answer.cancel()

    async with asyncio.timeout(10):
        await asyncio.gather(first.cancelled.wait(), second.cancelled.wait())
    with pytest.raises(asyncio.CancelledError):
        await answer
