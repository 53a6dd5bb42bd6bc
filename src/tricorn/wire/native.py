"""The way to a native implementation: a remote one whose calls are counted here, since its process need not speak the platform's contracts."""

import time
from collections.abc import AsyncIterator

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, Refusal, reason_entry
from tricorn.wire.call import Call
from tricorn.wire.route import Channel

_SERVER_ERROR = 500


class NativeChannel:
    """Counts what goes through another channel as calls of an implementation; their time includes the way."""

    def __init__(self, channel: Channel, implementation: str, stats: telemetry.CallStats) -> None:
        self.target = channel.target
        self._channel = channel
        self._implementation = implementation
        self._stats = stats

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message:
        started = time.perf_counter()
        failed = False
        try:
            return await self._channel.unary(policy, request, call)
        except Refusal as refusal:
            failed = reason_entry(refusal.reason).http >= _SERVER_ERROR
            raise
        finally:
            self._observe(policy, started, failed)

    async def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        started = time.perf_counter()
        failed = False
        answers = self._channel.stream(policy, request, call)
        try:
            async for answer in answers:
                yield answer
        except Refusal as refusal:
            failed = reason_entry(refusal.reason).http >= _SERVER_ERROR
            raise
        finally:
            await answers.aclose()  # type: ignore[attr-defined]
            self._observe(policy, started, failed)

    def _observe(self, policy: MethodPolicy, started: float, failed: bool) -> None:
        self._stats.observe(policy.full_name, self._implementation, time.perf_counter() - started, error=failed)
