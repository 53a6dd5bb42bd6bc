"""Who looks on, and calls that may have no effects."""

import asyncio
from pathlib import Path

import pytest
from google.protobuf.message import Message
from metering import SERVICE
from sides import Served, calling, serving

from tricorn.contract import MethodPolicy, Refusal, method_policy
from tricorn.wire import Binding, Call, call_scope
from tricorn.wire.taps import Finish


class Seeing:
    """Remembers what it saw."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bool]] = []
        self.ended: list[tuple[str, str]] = []

    def begin(self, policy: MethodPolicy, request: Message, call: Call) -> Finish:
        self.begun.append((policy.name, call.shadow))

        def finish(outcome: Message | Refusal, seconds: float, implementation: str) -> None:
            assert seconds >= 0
            said = outcome.reason if isinstance(outcome, Refusal) else type(outcome).__name__
            self.ended.append((said, implementation))

        return finish


class Failing:
    def begin(self, policy: MethodPolicy, request: Message, call: Call) -> Finish:
        message = "a tap with a defect"
        raise ZeroDivisionError(message)


async def test_a_tap_sees_how_unary_calls_end_and_who_answered(generated: Path, tmp_path: Path) -> None:
    async with serving(f"unix:{tmp_path}/s", "Count") as native, calling(native.address) as side:
        tap = Seeing()
        side.wire.taps.append(tap)
        await side.ask("Read")
        side.bind(Binding(SERVICE, {"rust": 10_000}))
        await side.ask("Read")
        await side.ask("Count")
        with pytest.raises(Refusal):
            await side.ask("Read", what="refuse")
        async for _ in side.wire.stream(f"{SERVICE}/Watch", side.pb.WatchRequest(readings=1)):
            pass

    assert [name for name, _ in tap.begun] == ["Read", "Read", "Count", "Read"]
    assert tap.ended == [("Reading", "python"), ("Reading", "rust"), ("Reading", "python"), ("NOT_FOUND", "rust")]


async def test_a_tap_that_fails_harms_no_call(generated: Path) -> None:
    async with calling() as side:
        tap = Seeing()
        side.wire.taps += [Failing(), tap]

        assert await side.ask("Read") == "python"
        assert tap.ended == [("Reading", "python")]


async def test_a_tap_is_not_told_an_end_that_nobody_waited_for(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}))
        tap = Seeing()
        side.wire.taps.append(tap)
        asked = asyncio.create_task(side.ask("Read", what="wait"))
        await native.hears("Read wait")
        asked.cancel()
        await asyncio.wait({asked})

    assert (len(tap.begun), tap.ended) == (1, [])


async def test_a_shadowed_call_leads_to_none_with_effects(generated: Path) -> None:
    async with calling() as side:
        with call_scope(shadow=True):
            assert await side.ask("Read") == "python"
            with pytest.raises(Refusal, match="PERMISSION_DENIED"):
                await side.ask("Add")

        assert side.python.asked == ["Read"]


async def test_a_call_with_effects_is_not_even_sent_from_a_shadowed_one(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}))
        with call_scope(shadow=True), pytest.raises(Refusal) as caught:
            await side.ask("Add")

    assert not caught.value.sent


async def test_a_server_refuses_a_shadowed_call_with_effects(native: Served) -> None:
    async with calling(native.address) as side:
        call = Call(f"{SERVICE}/Add", None, asyncio.get_running_loop().time() + 5, shadow=True)

        with pytest.raises(Refusal, match="PERMISSION_DENIED"):
            await side.endpoints.at(native.address).unary(
                method_policy(f"{SERVICE}/Add"), side.pb.AddRequest(meter_id="m"), call
            )


async def test_the_mark_of_a_shadowed_call_travels(native: Served) -> None:
    async with calling(native.address) as side:
        tap = Seeing()
        side.wire.taps.append(tap)
        side.bind(Binding(SERVICE, {"rust": 10_000}))
        with call_scope(shadow=True):
            await side.ask("Read")

    assert tap.begun == [("Read", True)]
