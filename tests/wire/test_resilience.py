"""When a call is repeated, and when a target is given a rest."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from google.protobuf.message import Message

from tricorn.contract import MethodPolicy, PlatformReason, Refusal, method_policy
from tricorn.v1 import events_pb2, stats_pb2
from tricorn.v1 import events_tricorn as _events  # noqa: F401 - registers the contract
from tricorn.wire import Wire
from tricorn.wire.call import Call
from tricorn.wire.resilience import Backoff, Breaker, RetryBudget
from tricorn.wire.route import Route

SAFE = "tricorn.v1.StatsService/GetProcessStats"


class Flaky:
    """A target that refuses its first calls."""

    target = "flaky"

    def __init__(self, failures: int, refusal: Refusal) -> None:
        self.calls = 0
        self._failures = failures
        self._refusal = refusal

    def route(self, policy: MethodPolicy, request: object) -> Route:
        return Route(self)

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._refusal
        return policy.output()

    def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        raise AssertionError


UNAVAILABLE = Refusal(PlatformReason.UNAVAILABLE, "away")
NOT_SENT = Refusal(PlatformReason.UNAVAILABLE, "away", sent=False)
NO_WAIT = Backoff(base=0.0)


async def test_a_call_without_effects_is_repeated() -> None:
    target = Flaky(2, UNAVAILABLE)

    await Wire(target, backoff=NO_WAIT).call(SAFE, stats_pb2.GetProcessStatsRequest())

    assert target.calls == 3


async def test_a_business_refusal_is_not_repeated() -> None:
    target = Flaky(1, Refusal(PlatformReason.NOT_FOUND, "nothing there"))

    with pytest.raises(Refusal, match="NOT_FOUND"):
        await Wire(target, backoff=NO_WAIT).call(SAFE, stats_pb2.GetProcessStatsRequest())

    assert target.calls == 1


async def test_attempts_are_limited() -> None:
    target = Flaky(99, UNAVAILABLE)

    with pytest.raises(Refusal, match="UNAVAILABLE"):
        await Wire(target, backoff=NO_WAIT).call(SAFE, stats_pb2.GetProcessStatsRequest())

    assert target.calls == NO_WAIT.attempts


@pytest.mark.parametrize(("key", "refusal", "calls"), [("", UNAVAILABLE, 1), ("", NOT_SENT, 2), ("k", UNAVAILABLE, 2)])
async def test_a_call_with_effects_is_repeated_only_with_a_key_or_when_it_was_not_sent(
    key: str, refusal: Refusal, calls: int
) -> None:
    from agora_proto.inventory.v1 import inventory_pb2 as inventory  # noqa: PLC0415 - a contract that has such a method

    target = Flaky(1, refusal)
    policy = method_policy("agora.inventory.v1.InventoryService/Reserve")
    wire = Wire(target, backoff=NO_WAIT)

    if calls == 1:
        with pytest.raises(Refusal):
            await wire.invoke(policy, inventory.ReserveRequest(key=key))
    else:
        await wire.invoke(policy, inventory.ReserveRequest(key=key))

    assert target.calls == calls


def test_retries_stay_within_their_budget() -> None:
    budget = RetryBudget(calls_per_retry=10, most=10)

    taken = sum(budget.take() for _ in range(100))
    for _ in range(10):
        budget.called()

    assert taken == 10
    assert budget.take()
    assert not budget.take()


def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_a_good_probe() -> None:
    breaker = Breaker("target", threshold=3, rest=0.0)
    for _ in range(3):
        breaker.before()
        breaker.failed(PlatformReason.UNAVAILABLE)
    assert breaker.is_open

    breaker.before()
    with pytest.raises(Refusal, match="UNAVAILABLE"):
        breaker.before()
    breaker.succeeded()

    assert not breaker.is_open


def test_refusals_of_the_business_do_not_open_a_breaker() -> None:
    breaker = Breaker("target", threshold=1)

    breaker.failed(PlatformReason.NOT_FOUND)

    assert not breaker.is_open


async def test_an_open_breaker_refuses_without_calling() -> None:
    target = Flaky(10**6, UNAVAILABLE)
    wire = Wire(target, backoff=Backoff(base=0.0, attempts=1))
    for _ in range(20):
        with pytest.raises(Refusal):
            await wire.call("tricorn.v1.EventSinkService/Deliver", events_pb2.DeliverRequest())
    called = target.calls

    with pytest.raises(Refusal, match="given a rest"):
        await wire.call("tricorn.v1.EventSinkService/Deliver", events_pb2.DeliverRequest())

    assert target.calls == called
    assert wire.open_breakers == ["tricorn.v1.EventSinkService/Deliver at flaky"]


class Silent:
    """A target whose streams end as they are told: by themselves without an answer, or never."""

    target = "silent"

    def __init__(self, *, ends: bool) -> None:
        self._ends = ends

    def route(self, policy: MethodPolicy, request: object) -> Route:
        return Route(self)

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message:
        raise UNAVAILABLE

    async def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        if not self._ends:
            await asyncio.Event().wait()
        return
        yield


@pytest.mark.parametrize("ends", [True, False])
async def test_a_probing_stream_that_brings_nothing_leaves_the_way_open_for_the_next_call(ends: bool) -> None:
    policy = method_policy(SAFE)
    breaker = Breaker("silent", threshold=1, rest=0.0)
    breaker.failed(PlatformReason.UNAVAILABLE)
    wire = Wire(Silent(ends=ends))
    wire._breakers[policy.full_name, "silent"] = breaker

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            assert [answer async for answer in wire.open_stream(policy, stats_pb2.GetProcessStatsRequest())] == []

    assert breaker.is_open is not ends
    breaker.before()
