"""The caller's side: a client for any contract, in process or over gRPC, whichever the endpoints say."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Protocol

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, method_policy
from tricorn.wire.call import NO_METADATA, Call, current
from tricorn.wire.resilience import RETRYABLE, Backoff, Breaker, RetryBudget


class Channel(Protocol):
    """One way to reach an implementation."""

    target: str

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message: ...

    def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]: ...


class Directory(Protocol):
    """Where implementations are."""

    def channel(self, policy: MethodPolicy) -> Channel:
        """The channel for a method.

        Raises:
            Refusal: UNAVAILABLE, when nothing implements it.
        """
        ...


class Wire:
    """Calls contracts. The deadline is the smallest of the contract's, the one asked for and what is left of the call that is being served.

    A call is repeated only when its contract says that it may be (``idempotency_level``), when it carries an idempotency key, or when it
    provably was not sent.
    """

    def __init__(self, directory: Directory, *, backoff: Backoff | None = None) -> None:
        self._directory = directory
        self._backoff = backoff or Backoff()
        self._budgets: dict[str, RetryBudget] = {}
        self._breakers: dict[str, Breaker] = {}

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
        channel = self._directory.channel(policy)
        breaker = self._breaker(policy, channel)
        budget = self._budgets.setdefault(policy.service, RetryBudget())
        budget.called()
        repeatable = _repeatable(policy, request)
        attempt = 0
        with telemetry.span(policy.full_name, kind="client"):
            while True:
                try:
                    return await self._attempt(policy, request, call, channel, breaker)
                except Refusal as refusal:
                    again = repeatable or not refusal.sent
                    delay = self._backoff.delay(attempt)
                    attempt += 1
                    if (
                        refusal.reason not in RETRYABLE
                        or not again
                        or attempt >= self._backoff.attempts
                        or call.remaining() <= delay
                        or not budget.take()
                    ):
                        raise
                    await asyncio.sleep(delay)

    def open_stream(self, policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> AsyncIterator[Message]:
        """Calls a method that answers with a stream. Streams are never repeated."""
        # The caller is who calls now, not who happens to ask for the first answer.
        return self._answers(policy, request, self._outgoing(policy, policy.stream_total))

    async def _answers(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        channel = self._directory.channel(policy)
        breaker = self._breaker(policy, channel)
        breaker.before()
        answers = channel.stream(policy, request, call)
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

    def _breaker(self, policy: MethodPolicy, channel: Channel) -> Breaker:
        # One for each method and target: a method that is slow of itself must not take the others with it.
        key = f"{policy.full_name} at {channel.target}"
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker(key)
        return breaker

    @property
    def open_breakers(self) -> list[str]:
        return sorted(key for key, breaker in self._breakers.items() if breaker.is_open)

    @staticmethod
    def _outgoing(policy: MethodPolicy, seconds: float) -> Call:
        served = current.get()
        until = time.monotonic() + seconds
        if served is None:
            return Call(policy.full_name, None, until, "", NO_METADATA)
        if served.remaining() <= 0:
            raise Refusal(PlatformReason.DEADLINE_EXCEEDED, f"no time is left to call {policy.name}")
        return Call(policy.full_name, served.identity, min(until, served.deadline), served.causation, served.metadata)


def _repeatable(policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> bool:
    if policy.client_streaming:
        return False
    if policy.idempotent:
        return True
    key = policy.idempotency_key_field
    return key is not None and bool(getattr(request, key))
