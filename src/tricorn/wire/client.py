"""The caller's side: a client for any contract, in process or over gRPC, whichever the directory says."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, method_policy
from tricorn.wire.call import NO_METADATA, Call, current, refuse_effects
from tricorn.wire.fallback import MOST_AT_ONCE, Fallbacks, cause, falls_back
from tricorn.wire.hedge import first_answer
from tricorn.wire.resilience import FAILURES, RETRYABLE, Backoff, Breaker, BreakerOpenError, RetryBudget
from tricorn.wire.route import Channel, Directory, Route
from tricorn.wire.taps import Tap, begin_all, finish_all

_LATE = 0.5
"""The share of the time left after which the reference is asked beside a native implementation that has not answered."""

_PROBE_SECONDS = 0.05
"""The longest that this takes for the call which probes whether the native implementation works again."""

_NATIVE_FAILURES = 5
"""Failures in a row after which a native implementation is given a rest, where the reference stands in for it."""


def _nobody(_: str) -> None:
    """Nobody wants to know who answered."""


class Wire:
    """Calls contracts. The deadline is the smallest of the contract's, the one asked for and what is left of the call that is being served.

    A call is repeated only when its contract says that it may be (``idempotency_level``), when it carries an idempotency key, or when it
    provably was not sent. A call that is bound to a native implementation which is gone or late is answered by the reference, on the
    terms of `tricorn.wire.fallback`.

    Args:
        directory: Where calls go.
        stats: Counts the calls that fall back.
        most_fallbacks: How many calls may do so at once.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        backoff: Backoff | None = None,
        stats: telemetry.CallStats | None = None,
        most_fallbacks: int = MOST_AT_ONCE,
    ) -> None:
        self.taps: list[Tap] = []
        self._directory = directory
        self._backoff = backoff or Backoff()
        self._fallbacks = Fallbacks(stats or telemetry.CallStats(), most_fallbacks)
        self._budgets: dict[str, RetryBudget] = {}
        self._breakers: dict[tuple[str, str], Breaker] = {}

    async def call(
        self, path: str, request: Message | AsyncIterator[Message], deadline: float | None = None
    ) -> Message:
        return await self.invoke(method_policy(path), request, deadline=deadline)

    def stream(self, path: str, request: Message | AsyncIterator[Message]) -> AsyncIterator[Message]:
        return self.open_stream(method_policy(path), request)

    async def invoke(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], *, deadline: float | None = None
    ) -> Message:
        """Calls a method that answers once."""
        call = self._outgoing(policy, policy.deadline if deadline is None else min(deadline, policy.deadline))
        route = self._directory.route(policy, request)
        self._budget(policy).called()
        with telemetry.span(policy.full_name, kind="client"):
            if self.taps and isinstance(request, Message):
                return await self._tapped(policy, request, call, route)
            return await self._answer(policy, request, call, route)

    def open_stream(self, policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> AsyncIterator[Message]:
        """Calls a method that answers with a stream. Streams are never repeated; until its first answer one may fall back."""
        # The caller is who calls now, not who happens to ask for the first answer.
        return self._stream(policy, request, self._outgoing(policy, policy.stream_total))

    @property
    def open_breakers(self) -> list[str]:
        """What is given a rest now: ``package.Service/Method at TARGET``."""
        return sorted(breaker.target for breaker in self._breakers.values() if breaker.is_open)

    async def _tapped(self, policy: MethodPolicy, request: Message, call: Call, route: Route) -> Message:
        finishes = begin_all(self.taps, policy, request, call)
        by = [route.implementation]
        started = time.perf_counter()
        try:
            answer = await self._answer(policy, request, call, route, by.append)
        except Refusal as refusal:
            finish_all(finishes, refusal, time.perf_counter() - started, by[-1])
            raise
        finish_all(finishes, answer, time.perf_counter() - started, by[-1])
        return answer

    async def _answer(
        self,
        policy: MethodPolicy,
        request: Message | AsyncIterator[Message],
        call: Call,
        route: Route,
        answered_by: Callable[[str], None] = _nobody,
    ) -> Message:
        """What the route's implementation answers, or the reference; ``answered_by`` is told when it is the reference."""
        if route.reference is None or not isinstance(request, Message):
            return await self._persistently(policy, request, call, route)
        try:
            if not policy.safe:
                return await self._persistently(policy, request, call, route)
            found = await self._hedged(policy, request, call, route)
        except Refusal as refusal:
            if call.remaining() <= 0 or not falls_back(policy, refusal, route):
                raise
            return await self._by_reference(policy, request, call, route, why=cause(refusal), answered_by=answered_by)
        if isinstance(found, Message):
            return found
        answered_by(route.reference.implementation)
        return found.result()

    async def _persistently(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call, route: Route
    ) -> Message:
        """Makes attempts until one is answered or none is left."""
        breaker = self._breaker(policy, route)
        attempt = 0
        while True:
            try:
                return await self._attempt(policy, request, call, route.channel, breaker)
            except Refusal as refusal:
                again = refusal.reason in RETRYABLE and not isinstance(refusal, BreakerOpenError)
                delay = self._backoff.delay(attempt)
                attempt += 1
                if (
                    not again
                    or not (_repeatable(policy, request) or not refusal.sent)
                    or attempt >= self._backoff.attempts
                    or call.remaining() <= delay
                    or not self._budget(policy).take()
                ):
                    raise
                await asyncio.sleep(delay)

    async def _attempt(
        self,
        policy: MethodPolicy,
        request: Message | AsyncIterator[Message],
        call: Call,
        channel: Channel,
        breaker: Breaker,
    ) -> Message:
        breaker.before()
        try:
            answer = await channel.unary(policy, request, call)
        except Refusal as refusal:
            breaker.failed(refusal.reason)
            raise
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return answer

    async def _hedged(
        self, policy: MethodPolicy, request: Message, call: Call, route: Route
    ) -> Message | asyncio.Task[Message]:
        """One attempt at a native implementation, which leaves the reference enough time to answer in its place."""
        breaker = self._breaker(policy, route)
        patience = max(call.remaining(), 0) * _LATE
        found = await first_answer(
            self._attempt(policy, request, call, route.channel, breaker),
            min(patience, _PROBE_SECONDS) if breaker.is_open else patience,
            lambda: self._by_reference(policy, request, call, route, why="late"),
            lambda refusal: falls_back(policy, refusal, route),
        )
        if not isinstance(found, Message):
            breaker.failed(PlatformReason.DEADLINE_EXCEEDED)
        return found

    async def _by_reference(
        self,
        policy: MethodPolicy,
        request: Message,
        call: Call,
        route: Route,
        *,
        why: str,
        answered_by: Callable[[str], None] = _nobody,
    ) -> Message:
        assert route.reference is not None  # noqa: S101 - what falls back has one
        with self._fallbacks.one(policy, route.implementation, why):
            answered_by(route.reference.implementation)
            return await self._persistently(policy, request, call, route.reference)

    async def _stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        route = self._directory.route(policy, request)
        begun = False
        try:
            async with contextlib.aclosing(self._answers(policy, request, call, route)) as answers:
                async for answer in answers:
                    begun = True
                    yield answer
        except Refusal as refusal:
            if begun or not isinstance(request, Message) or not falls_back(policy, refusal, route):
                raise
            why = cause(refusal)
        else:
            return
        assert route.reference is not None  # noqa: S101 - what falls back has one
        with self._fallbacks.one(policy, route.implementation, why):
            pass  # a stream may live for an hour: it is counted, and holds no place
        async with contextlib.aclosing(self._answers(policy, request, call, route.reference)) as answers:
            async for answer in answers:
                yield answer

    async def _answers(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call, route: Route
    ) -> AsyncGenerator[Message, None]:
        breaker = self._breaker(policy, route)
        breaker.before()
        answers = route.channel.stream(policy, request, call)
        try:
            async for answer in answers:
                breaker.succeeded()
                yield answer
            breaker.succeeded()
        except Refusal as refusal:
            breaker.failed(refusal.reason)
            raise
        except BaseException:
            breaker.abandoned()
            raise
        finally:
            await answers.aclose()  # type: ignore[attr-defined]

    def _breaker(self, policy: MethodPolicy, route: Route) -> Breaker:
        # One for each method and target: a method that is slow of itself must not take the others with it.
        key = (policy.full_name, route.channel.target)
        breaker = self._breakers.get(key)
        if breaker is None:
            threshold = FAILURES if route.reference is None else _NATIVE_FAILURES
            breaker = self._breakers[key] = Breaker(f"{key[0]} at {key[1]}", threshold=threshold)
        return breaker

    def _budget(self, policy: MethodPolicy) -> RetryBudget:
        budget = self._budgets.get(policy.service)
        if budget is None:
            budget = self._budgets[policy.service] = RetryBudget()
        return budget

    @staticmethod
    def _outgoing(policy: MethodPolicy, seconds: float) -> Call:
        served = current.get()
        until = time.monotonic() + seconds
        if served is None:
            return Call(policy.full_name, None, until, "", NO_METADATA)
        if served.remaining() <= 0:
            raise Refusal(PlatformReason.DEADLINE_EXCEEDED, f"no time is left to call {policy.name}")
        if served.shadow and not policy.safe:
            raise refuse_effects(policy.name)
        return Call(
            policy.full_name,
            served.identity,
            min(until, served.deadline),
            served.causation,
            served.metadata,
            served.shadow,
        )


def _repeatable(policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> bool:
    if policy.client_streaming:
        return False
    if policy.idempotent:
        return True
    key = policy.idempotency_key_field
    return key is not None and bool(getattr(request, key))
