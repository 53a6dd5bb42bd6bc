"""Records the calls that a process makes: a tap of the wire that copies, and a writer beside it that redacts and writes.

On the caller's path a call of the sample is serialised and put into a queue, nothing else; a full queue drops it, which is counted.
"""

import asyncio
import os
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, Refusal
from tricorn.prove.framing import MOST_BYTES
from tricorn.prove.orders import PART, PARTS, WHOLE, Orders, RecordOrder
from tricorn.prove.recording import RecordingWriter, header_for
from tricorn.prove.redaction import redact, redact_status
from tricorn.telemetry.logs import REDACTED, is_secret
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd, RecordingEntry
from tricorn.wire import Call
from tricorn.wire.bindings import ALL
from tricorn.wire.errors import to_status

_log = telemetry.get_logger("tricorn.prove")
_QUEUE = 2000
_QUEUE_BYTES = 32 * 1024 * 1024
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Seen:
    policy: MethodPolicy
    request: bytes
    answer: bytes | None
    refusal: Refusal | None
    started: float
    seconds: float
    implementation: str
    identified: bool
    roles: frozenset[str]
    metadata: Mapping[str, str]

    @property
    def size(self) -> int:
        return len(self.request) + len(self.answer or b"")


class _Part:
    """What this process writes of one recording."""

    def __init__(self, order: RecordOrder, home: Path, process: str) -> None:
        self.order = order
        folder = home / PARTS / order.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        header = header_for(order.contract, order.methods, sample=order.sample, process=process)
        self.writer = RecordingWriter(folder / f"{process}-{os.getpid()}{PART}", header, most_bytes=order.most_bytes)
        self.waiting: deque[_Seen] = deque()
        self.waiting_bytes = 0
        self.dropped = 0
        self.too_large = 0
        self.ended = False

    def put(self, seen: _Seen) -> None:
        if len(self.waiting) >= _QUEUE or self.waiting_bytes + seen.size > _QUEUE_BYTES:
            self.dropped += 1
            return
        self.waiting.append(seen)
        self.waiting_bytes += seen.size

    def write(self, most: int) -> None:
        """Writes some of what waits; ends the part when there is no room for it."""
        for _ in range(min(most, len(self.waiting))):
            seen = self.waiting.popleft()
            self.waiting_bytes -= seen.size
            entry = RecordingEntry(call=_recorded(seen)).SerializeToString()
            if len(entry) > MOST_BYTES:
                self.too_large += 1
            elif not self.writer.add(entry):
                self.end(RecordingEnd.SIZE)
                return
        self.writer.flush()

    def end(self, reason: RecordingEnd.Reason.ValueType) -> None:
        self.ended = True
        self.writer.end(reason, dropped=self.dropped, too_large=self.too_large)
        self.writer.path.rename(self.writer.path.with_suffix(WHOLE))


class Recorder:
    """A tap of the wire, with the work that goes on beside it in `follow`. Lives on one event loop.

    Args:
        home: The folder of the application's state.
        process: This process's name.
        now: Seconds since the epoch.
        dice: A number from 0 to 1 for each call, which decides whether it is of the sample.
    """

    def __init__(
        self,
        home: Path,
        process: str,
        *,
        now: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._home = home
        self._process = process
        self._now = now
        self._dice = dice
        self._parts: dict[str, _Part] = {}
        self._failed: set[str] = set()

    @property
    def active(self) -> bool:
        """Whether anything is recorded: only then the tap needs to be there."""
        return any(not part.ended for part in self._parts.values())

    def begin(
        self, policy: MethodPolicy, request: Message, call: Call
    ) -> Callable[[Message | Refusal, float, str], None] | None:
        parts = [
            part
            for part in self._parts.values()
            if not part.ended
            and part.order.wants(policy.service, policy.name)
            and self._dice() * ALL < part.order.sample
        ]
        if not parts or call.shadow:
            return None
        # A copy of what is sent: whoever made the request may go on to change it.
        content, started = request.SerializeToString(), self._now()

        def finish(outcome: Message | Refusal, seconds: float, implementation: str) -> None:
            answer, refusal = (None, outcome) if isinstance(outcome, Refusal) else (outcome.SerializeToString(), None)
            seen = _Seen(
                policy,
                content,
                answer,
                refusal,
                started,
                seconds,
                implementation,
                call.identity is not None,
                call.identity.roles if call.identity else frozenset(),
                call.metadata,
            )
            for part in parts:
                if not part.ended:
                    part.put(seen)

        return finish

    async def follow(self, orders: Orders) -> None:
        """Begins and ends parts as the orders say, and writes what has come meanwhile. To be called several times a second."""
        now = self._now()
        for order in orders.values():
            if order.id not in self._parts and order.id not in self._failed and now < order.until:
                try:
                    self._parts[order.id] = _Part(order, self._home, self._process)
                except (OSError, KeyError) as error:
                    self._failed.add(order.id)
                    _log.warning("calls cannot be recorded", recording=order.id, error=str(error))
        for identity, part in list(self._parts.items()):
            stopped, late = identity not in orders, now >= part.order.until
            try:
                await self._write(part, to_the_end=stopped or late)
                if not part.ended and (stopped or late):
                    part.end(RecordingEnd.TIME if late else RecordingEnd.STOPPED)
            except OSError as error:
                _log.error("a recording broke off", recording=identity, error=str(error))
                part.ended = True
            if stopped:
                del self._parts[identity]

    async def close(self) -> None:
        """Ends every part, keeping what it has."""
        await self.follow({})

    async def _write(self, part: _Part, *, to_the_end: bool) -> None:
        rounds = len(part.waiting) // _AT_ONCE + 1
        for _ in range(rounds):
            if part.ended:
                return
            part.write(_AT_ONCE)
            # Between two batches others have their turn.
            await asyncio.sleep(0)
        while to_the_end and part.waiting and not part.ended:
            part.write(_AT_ONCE)


def _recorded(seen: _Seen) -> RecordedCall:
    """A call as it is kept: redacted, and with nobody's name on it."""
    call = RecordedCall(method=seen.policy.name, implementation=seen.implementation, identified=seen.identified)
    call.start_time.FromNanoseconds(int(seen.started * 1e9))
    call.duration.FromNanoseconds(int(seen.seconds * 1e9))
    call.roles.extend(sorted(seen.roles))
    for key, value in seen.metadata.items():
        call.metadata[key] = REDACTED if is_secret(key) else value
    request = seen.policy.input.FromString(seen.request)
    call.redacted.extend(redact(request, "request"))
    call.request = request.SerializeToString(deterministic=True)
    if seen.answer is not None:
        answer = seen.policy.output.FromString(seen.answer)
        call.redacted.extend(redact(answer, "answer"))
        call.answer = answer.SerializeToString(deterministic=True)
    elif seen.refusal is not None:
        call.status.ParseFromString(to_status(seen.refusal)[1])
        redact_status(call.status)
    return call
