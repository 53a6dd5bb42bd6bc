"""Records the calls that a process makes: a tap of the wire that copies, and a writer beside it that redacts and writes.

On the caller's path a call of the sample is serialised and put into a queue, nothing else; a full queue drops it, which is counted. Calls that native
processes made come as copies (`tricorn.prove.copies`), and are written to parts of their own.
"""

import asyncio
import contextlib
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, Refusal
from tricorn.prove.framing import MOST_BYTES
from tricorn.prove.orders import FULL, PART, PARTS, WHOLE, Orders, RecordOrder
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

_ON_THE_WAY_SECONDS = 0.5
"""How long after the end of a recording copies of calls that other processes made before it may still come."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A call as its caller saw it, serialised so that nobody changes it any more. ``started`` is in seconds since the epoch."""

    policy: MethodPolicy
    request: bytes
    answer: bytes | None
    refusal: Refusal | None
    started: float
    seconds: float
    implementation: str
    call: Call

    @property
    def size(self) -> int:
        return len(self.request) + len(self.answer or b"")


class _Part:
    """What this process writes of one recording: its own calls, or those of another process, which come later by up to ``patience`` seconds."""

    def __init__(self, order: RecordOrder, home: Path, writer: str, process: str, patience: float) -> None:
        self.order = order
        self.process = process
        self.patience = patience
        self._over_since: float | None = None
        self._folder = home / PARTS / order.id
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        header = header_for(order.contract, order.methods, sample=order.sample, process=process)
        # By chance, since process ids come again: what was recorded before a start is never written over.
        name = f"{writer}-{os.getpid()}-{os.urandom(3).hex()}{PART}"
        self.writer = RecordingWriter(self._folder / name, header)
        self.waiting: deque[Seen] = deque()
        self.waiting_bytes = 0
        self.dropped = 0
        self.too_large = 0
        self.ended = False

    def is_over(self, orders: Orders, now: float) -> bool:
        """Whether nothing more is to come."""
        if self.order.id in orders and now < self.order.until:
            return False
        if self._over_since is None:
            self._over_since = now
        return now >= self._over_since + self.patience

    def put(self, seen: Seen) -> None:
        if len(self.waiting) >= _QUEUE or self.waiting_bytes + seen.size > _QUEUE_BYTES:
            self.dropped += 1
            return
        self.waiting.append(seen)
        self.waiting_bytes += seen.size

    def write(self, most: int) -> None:
        """Writes some of what waits; ends the part when there is no room for it."""
        if not self.waiting:
            return
        room = self._room()
        for _ in range(min(most, len(self.waiting))):
            seen = self.waiting.popleft()
            self.waiting_bytes -= seen.size
            entry = RecordingEntry(call=_recorded(seen)).SerializeToString()
            if len(entry) > MOST_BYTES:
                self.too_large += 1
                continue
            room -= len(entry)
            if room < 0:
                self.end(RecordingEnd.SIZE)
                return
            self.writer.add(entry)
        self.writer.flush()

    def end(self, reason: RecordingEnd.Reason.ValueType) -> None:
        self.ended = True
        self.writer.end(reason, dropped=self.dropped, too_large=self.too_large)
        self.writer.path.rename(self.writer.path.with_suffix(WHOLE))
        if reason == RecordingEnd.SIZE:
            (self._folder / FULL).touch(mode=0o600)

    def _room(self) -> int:
        """How many bytes of calls may still come, whoever writes them: each looks anew before it writes a batch."""
        if (self._folder / FULL).exists():
            return 0
        room = self.order.most_bytes - self.writer.header_bytes
        for part in self._folder.iterdir():
            # Each has a header, of which one is left in the end; what is renamed just now is missed this once.
            with contextlib.suppress(FileNotFoundError):
                room -= max(0, part.stat().st_size - self.writer.header_bytes)
        return room


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
        self._orders: Orders = {}
        self._parts: dict[tuple[str, str], _Part] = {}
        self._failed: set[tuple[str, str]] = set()

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
            if part.process == self._process
            and not part.ended
            and part.order.wants(policy.service, policy.name)
            and self._dice() * ALL < part.order.sample
        ]
        if not parts or call.shadow:
            return None
        # A copy of what is sent: whoever made the request may go on to change it.
        content, started = request.SerializeToString(), self._now()

        def finish(outcome: Message | Refusal, seconds: float, implementation: str) -> None:
            answer, refusal = (None, outcome) if isinstance(outcome, Refusal) else (outcome.SerializeToString(), None)
            seen = Seen(policy, content, answer, refusal, started, seconds, implementation, call)
            for part in parts:
                if not part.ended:
                    part.put(seen)

        return finish

    def knows(self, recordings: Iterable[str]) -> bool:
        """Whether the orders of these recordings have come."""
        return all(name in self._orders for name in recordings)

    def take(self, recordings: Iterable[str], process: str, seen: Seen) -> None:
        """Keeps a call that another process made, and that was of the sample of these recordings there."""
        for name in recordings:
            part = self._part_of(name, process)
            if part is not None:
                part.put(seen)

    def miss(self, recording: str, process: str, *, dropped: int, too_large: int) -> None:
        """Counts calls that another process could not copy."""
        part = self._part_of(recording, process)
        if part is not None:
            part.dropped += dropped
            part.too_large += too_large

    async def follow(self, orders: Orders) -> None:
        """Begins and ends parts as the orders say, and writes what has come meanwhile. To be called several times a second."""
        self._orders, now = orders, self._now()
        for order in orders.values():
            if (order.id, self._process) not in self._parts and now < order.until:
                self._begin(order, self._process, patience=0)
        for key, part in list(self._parts.items()):
            over = part.is_over(orders, now)
            try:
                await self._write(part, to_the_end=over)
                if over and not part.ended:
                    part.end(RecordingEnd.TIME if now >= part.order.until else RecordingEnd.STOPPED)
            except OSError as error:
                _log.error("a recording broke off", recording=part.order.id, error=str(error))
                part.ended = True
            if part.ended and part.order.id not in orders:
                self._parts.pop(key, None)

    async def close(self) -> None:
        """Ends every part, keeping what it has."""
        for part in self._parts.values():
            part.patience = 0
        await self.follow({})

    def _part_of(self, name: str, process: str) -> _Part | None:
        """What is written here of another process's calls; None: nothing, or nothing more."""
        part, order = self._parts.get((name, process)), self._orders.get(name)
        if part is None and order is not None and self._now() < order.until:
            part = self._begin(order, process, patience=_ON_THE_WAY_SECONDS)
        return None if part is None or part.ended else part

    def _begin(self, order: RecordOrder, process: str, *, patience: float) -> _Part | None:
        key = (order.id, process)
        if key in self._failed:
            return None
        try:
            part = self._parts[key] = _Part(order, self._home, self._process, process, patience)
        except (OSError, KeyError) as error:
            self._failed.add(key)
            _log.warning("calls cannot be recorded", recording=order.id, error=str(error))
            return None
        return part

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


def _recorded(seen: Seen) -> RecordedCall:
    """A call as it is kept: redacted, and with nobody's name on it."""
    identity = seen.call.identity
    call = RecordedCall(method=seen.policy.name, implementation=seen.implementation, identified=identity is not None)
    call.start_time.FromNanoseconds(int(seen.started * 1e9))
    call.duration.FromNanoseconds(int(seen.seconds * 1e9))
    call.roles.extend(sorted(identity.roles) if identity else ())
    for key, value in seen.call.metadata.items():
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
