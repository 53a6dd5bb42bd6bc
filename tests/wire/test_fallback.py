"""A native implementation that is gone, stopped or too old: callers see what they would have seen from Python."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from metering import SERVICE
from sides import Native, Served, Side, calling, serving

from tricorn.contract import PlatformReason, Refusal
from tricorn.wire import Binding, call_scope

Start = Callable[..., Awaitable[Native]]
BOUND = Binding(SERVICE, {"rust": 10_000})
NOBODY = "unix:/nonexistent/socket"


def _why(side: Side) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, _, why), calls in side.stats.fallbacks().items():
        found[why] += calls
    return found


async def test_an_address_nobody_listens_on(generated: Path) -> None:
    async with calling(NOBODY) as side:
        side.bind(BOUND)

        assert {await side.ask("Read") for _ in range(3)} == {"python"}
        assert _why(side) == {"unreachable": 3}


async def test_a_process_that_is_killed_in_the_middle_of_a_call(start_native: Start) -> None:
    native = await start_native()
    async with calling(native.address) as side:
        side.bind(BOUND)
        asked = asyncio.create_task(side.ask("Read", what="wait"))
        await native.hears("Read wait")

        await native.kill()

        assert await asked == "python"
        assert _why(side) == {"broke_off": 1}


async def test_a_process_that_is_stopped_in_the_middle_of_a_call(start_native: Start) -> None:
    native = await start_native()
    async with calling(native.address) as side:
        side.bind(BOUND)
        began = time.monotonic()
        asked = asyncio.create_task(side.ask("Read", what="wait"))
        await native.hears("Read wait")
        os.kill(native.process.pid, signal.SIGSTOP)

        answered_by = await asked

        assert answered_by == "python"
        assert time.monotonic() - began < 2.0  # within the deadline of the contract, or there would be no answer
        assert _why(side) == {"late": 1}


async def test_the_reference_has_its_part_of_what_is_left_of_the_callers_time(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(BOUND)

        with call_scope(timeout=0.4):
            assert await side.ask("Read", what="wait") == "python"

        (call,) = side.python.calls
        assert 0 < call.deadline - time.monotonic() < 0.21


async def test_a_stopped_process_is_given_a_rest_and_found_again(start_native: Start) -> None:
    native = await start_native()
    async with calling(native.address) as side:
        side.bind(BOUND)
        assert await side.ask("Read") == "rust"
        os.kill(native.process.pid, signal.SIGSTOP)
        with call_scope(timeout=0.2):
            found = await asyncio.gather(*(side.ask("Read") for _ in range(5)))
        assert set(found) == {"python"}
        assert side.wire.open_breakers == [f"{SERVICE}/Read at {native.address}"]

        assert await side.ask("Read") == "python"
        assert _why(side)["breaker_open"] == 1
        os.kill(native.process.pid, signal.SIGCONT)
        async with asyncio.timeout(20):
            while side.wire.open_breakers:
                await side.ask("Read")
        assert await side.ask("Read") == "rust"


async def test_a_binary_of_an_older_contract(generated: Path, tmp_path: Path) -> None:
    async with serving(f"unix:{tmp_path}/s", "Read", "Add") as native, calling(native.address) as side:
        side.bind(BOUND)

        assert [await side.ask("Read"), await side.ask("Count")] == ["python", "rust"]
        assert _why(side) == {"unimplemented": 1}


async def test_a_refusal_of_the_business_is_an_answer(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(BOUND)

        with pytest.raises(Refusal, match="rust knows no such meter"):
            await side.ask("Read", what="refuse")

        assert not side.stats.fallbacks()


async def test_what_the_reference_refuses_is_what_the_caller_sees(generated: Path) -> None:
    async with calling(NOBODY) as side:
        side.bind(BOUND)

        with pytest.raises(Refusal, match="python knows no such meter"):
            await side.ask("Read", what="refuse")


async def test_a_defect_of_the_native_implementation_is_not_hidden(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(BOUND)

        with pytest.raises(Refusal) as caught:
            await side.ask("Read", what="fail")

        assert caught.value.reason == PlatformReason.INTERNAL
        assert not side.stats.fallbacks()


@pytest.mark.parametrize("method", ["Add", "Reset"])
async def test_a_call_that_may_have_had_an_effect_is_never_made_again(method: str, start_native: Start) -> None:
    native = await start_native()
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}, shared=True))

        with pytest.raises(Refusal) as caught:
            await side.ask(method, what="exit")

        assert caught.value.reason == PlatformReason.UNAVAILABLE
        assert side.python.asked == []


async def test_a_call_with_effects_that_was_not_sent_may_be_made(generated: Path) -> None:
    async with calling(NOBODY) as side:
        side.bind(BOUND)

        assert await side.ask("Reset") == "python"


@pytest.mark.parametrize("shared", [False, True])
async def test_a_key_that_only_one_side_knows_keeps_a_call_there(shared: bool, generated: Path) -> None:
    async with calling(NOBODY) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}, shared=shared))

        if shared:
            assert await side.ask("Add", key="k") == "python"
        else:
            with pytest.raises(Refusal, match="UNAVAILABLE"):
                await side.ask("Add", key="k")
            assert side.python.asked == []


async def test_a_stream_falls_back_before_its_first_answer(generated: Path) -> None:
    async with calling(NOBODY) as side:
        side.bind(BOUND)

        readings = side.wire.stream(f"{SERVICE}/Watch", side.pb.WatchRequest(readings=2))

        assert [reading.answered_by async for reading in readings] == ["python", "python"]


async def test_a_stream_that_broke_off_is_not_begun_again(start_native: Start) -> None:
    native = await start_native()
    async with calling(native.address) as side:
        side.bind(BOUND)
        readings = side.wire.stream(f"{SERVICE}/Watch", side.pb.WatchRequest(readings=1, what="stay"))
        assert (await anext(readings)).answered_by == "rust"

        await native.kill()

        with pytest.raises(Refusal, match="UNAVAILABLE"):
            await anext(readings)
        assert side.python.asked == []


async def test_above_the_cap_calls_are_told_to_come_back(generated: Path) -> None:
    async with calling(NOBODY, most_fallbacks=2) as side:
        side.bind(BOUND)
        going_on = asyncio.Event()
        inside = asyncio.Semaphore(0)
        read = side.python.read

        async def slow(request: object, call: object) -> object:
            inside.release()
            await going_on.wait()
            return await read(request, call)  # type: ignore[arg-type]

        side.endpoints._service._handlers[f"{SERVICE}/Read"] = (
            side.endpoints._service._handlers[f"{SERVICE}/Read"][0],
            slow,
        )
        within = [asyncio.create_task(side.ask("Read")) for _ in range(2)]
        for _ in within:
            await inside.acquire()

        with pytest.raises(Refusal) as caught:
            await side.ask("Read")

        assert caught.value.reason == PlatformReason.UNAVAILABLE
        assert caught.value.retry_after is not None
        going_on.set()
        assert await asyncio.gather(*within) == ["python", "python"]
        assert _why(side) == {"unreachable": 2, "over_the_cap": 1}


async def test_a_stopped_process_costs_a_caller_who_gives_up_nothing(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(BOUND)
        asked = asyncio.create_task(side.ask("Read", what="wait"))
        await native.hears("Read wait")

        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

        assert side.python.asked == []
        assert not side.stats.fallbacks()
