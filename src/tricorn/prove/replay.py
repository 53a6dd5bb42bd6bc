"""Plays the calls of a recording against an implementation, at their pace or another, and compares what it says with what was recorded.

Open-loop: a call is made when it is due, whether or not those before it have been answered, and its time counts from when it was due. So an
implementation that cannot keep up shows it. Calls are marked as shadow, so that nothing they lead to has an effect, unless effects are wanted.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from tricorn.contract import Level, MethodPolicy, Refusal, service_policies
from tricorn.contract.compare import Difference
from tricorn.prove.errors import ProveError
from tricorn.prove.examples import as_json, field_of, shown_differences
from tricorn.prove.histogram import Histogram
from tricorn.prove.outcome import ANSWERED, REFUSED, Outcome, compare
from tricorn.prove.recording import Recording
from tricorn.prove.redaction import redact, redact_status
from tricorn.v1.recording_pb2 import RecordedCall
from tricorn.wire import Call, Identity
from tricorn.wire.bindings import ALL
from tricorn.wire.call import NO_METADATA
from tricorn.wire.errors import to_status
from tricorn.wire.resilience import Breaker
from tricorn.wire.route import Channel

MOST_AT_ONCE = 256
"""Calls in flight; what is due beyond that waits, and its time counts all the same. At the rate ``max``, as many as `AT_ONCE`."""

AT_ONCE = 8
KEPT_EXAMPLES = 10
SOMEBODY = "00000000-0000-7000-8000-000000000000"
"""The user for whom calls are played that were made for one: a recording does not say for whom."""

_SEED = 4


@dataclass(frozen=True, slots=True)
class Example:
    """A difference, with what it takes to see it again."""

    method: str
    request: str
    redacted: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(slots=True)
class Replayed:
    """How it went.

    Args:
        played: Calls that were made.
        same: Outcomes that the contract calls the same as the recorded ones.
        different: Those it does not.
        incomparable: Outcomes that say nothing, by why.
        errors: Calls that were not answered now, by reason; they are in none of the others.
        left_out: Calls of the recording that were not made, by why.
        fields: How often each field differed.
        recorded: How long the calls took when they were recorded.
        now: How long they took now.
        seconds: From the first call to the last answer.
    """

    played: int = 0
    same: int = 0
    different: int = 0
    incomparable: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)
    recorded: Histogram = field(default_factory=Histogram)
    now: Histogram = field(default_factory=Histogram)
    seconds: float = 0.0
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pace:
    """When calls are due: as they were recorded (no ``rate``), so many in a second, or (``inf``) as soon as there is room."""

    rate: float | None = None

    @classmethod
    def of(cls, word: str) -> "Pace":
        """``recorded``, ``max`` or calls in a second.

        Raises:
            ProveError: It is none of these.
        """
        if word in {"recorded", "max"}:
            return cls(float("inf") if word == "max" else None)
        try:
            rate = float(word)
        except ValueError:
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise ProveError(f"--rate {word} is no rate", remedy="say `recorded`, `max`, or how many calls in a second")
        return cls(rate)

    @property
    def unlimited(self) -> bool:
        return self.rate == float("inf")

    def due(self, number: int, since_first: float) -> float:
        """Seconds after the start at which a call is due: the ``number``-th, recorded ``since_first`` seconds after the first."""
        return since_first if self.rate is None else number / self.rate


@dataclass(slots=True)
class Player:
    """Plays a recording.

    Args:
        recording: Of a contract that this application knows.
        channel: The way to the implementation.
        pace: When calls are due.
        sample: Which share of the recorded calls, in basis points; always the same ones.
        effects: Whether methods with effects are played too.
    """

    recording: Recording
    channel: Channel
    pace: Pace = field(default_factory=Pace)
    sample: int = ALL
    effects: bool = False
    report: Replayed = field(default_factory=Replayed)
    _policies: dict[str, MethodPolicy] = field(default_factory=dict, init=False)

    async def play(self, progress: Callable[[Replayed], None] = lambda _: None) -> Replayed:
        """Plays it to its end, or to where it breaks off.

        Raises:
            ProveError: The contract has changed too much for its calls to be played, or the file is damaged.
        """
        self._policies = _policies(self.recording)
        in_flight: set[asyncio.Task[None]] = set()
        room = asyncio.Semaphore(AT_ONCE if self.pace.unlimited else MOST_AT_ONCE)
        began = time.perf_counter()
        try:
            for number, (since_first, call) in enumerate(self._chosen(self.recording.calls())):
                due = began + self.pace.due(number, since_first)
                # The loop gets its turn even when everything is late.
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                await room.acquire()
                task = asyncio.create_task(self._one(call, time.perf_counter() if self.pace.unlimited else due))
                task.add_done_callback(lambda _: room.release())
                task.add_done_callback(in_flight.discard)
                in_flight.add(task)
                progress(self.report)
            if in_flight:
                await asyncio.wait(in_flight)
        finally:
            for task in in_flight:
                task.cancel()
            await asyncio.gather(*in_flight, return_exceptions=True)
            self.report.seconds = time.perf_counter() - began
        return self.report

    def _chosen(self, calls: Iterable[RecordedCall]) -> Iterator[tuple[float, RecordedCall]]:
        dice = random.Random(_SEED)  # noqa: S311 - a sample, the same each time
        first: int | None = None
        for call in calls:
            if dice.random() * ALL >= self.sample:
                continue
            if why := self._left_out(call):
                _count(self.report.left_out, why)
                continue
            # What cannot be read would be a call that nobody judges.
            self.recording.request(call)
            self.recording.answer(call)
            start = call.start_time.ToNanoseconds()
            first = start if first is None else first
            yield (start - first) / 1e9, call

    def _left_out(self, call: RecordedCall) -> str:
        policy = self._policies[call.method]
        if not policy.safe and not self.effects:
            return f"{call.method} may have effects"
        if any(path.startswith("request.") for path in call.redacted):
            return "secrets of its request are not in the recording"
        return ""

    async def _one(self, recorded: RecordedCall, due: float) -> None:
        policy, report = self._policies[recorded.method], self.report
        request = policy.input.FromString(recorded.request)
        identity = Identity(SOMEBODY, "", frozenset(recorded.roles)) if recorded.identified else None
        call = Call(
            policy.full_name,
            identity,
            time.monotonic() + policy.deadline,
            "",
            dict(recorded.metadata) or NO_METADATA,
            shadow=not self.effects,
        )
        report.played += 1
        try:
            answer = await self.channel.unary(policy, request, call)
        except Refusal as refusal:
            if refusal.reason in Breaker.COUNTED:
                _count(report.errors, refusal.reason)
                return
            code, said = to_status(refusal)
            status = Status.FromString(said)
            redact_status(status)
            actual = Outcome(REFUSED, code.name, status.SerializeToString())
        else:
            redact(answer)
            actual = Outcome(ANSWERED, payload=answer.SerializeToString(deterministic=True))
        report.now.add(time.perf_counter() - due)
        report.recorded.add(recorded.duration.ToNanoseconds() / 1e9)
        self._judge(policy, recorded, actual)

    def _judge(self, policy: MethodPolicy, recorded: RecordedCall, actual: Outcome) -> None:
        report, expected = self.report, _recorded(recorded)
        if expected.kind == REFUSED and expected.code in _GONE:
            _count(report.incomparable, "it was not answered when it was recorded")
            return
        differences = compare(policy, expected, actual).differences
        if not differences:
            report.same += 1
        elif recorded.identified and policy.level is Level.USER:
            _count(report.incomparable, "it was made for a user, who is not in the recording")
        else:
            report.different += 1
            fields = {field_of(each) for each in differences}
            for name in fields:
                _count(report.fields, name)
            if len(report.examples) < KEPT_EXAMPLES:
                request = policy.input.FromString(recorded.request)
                shown = shown_differences(policy, differences, expected, actual)
                report.examples.append(
                    Example(policy.full_name, as_json(request), tuple(recorded.redacted), tuple(shown))
                )


_GONE = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


def _recorded(call: RecordedCall) -> Outcome:
    if call.WhichOneof("outcome") == "answer":
        return Outcome(ANSWERED, payload=call.answer)
    return Outcome(REFUSED, Code.Name(call.status.code), call.status.SerializeToString())


def _policies(recording: Recording) -> dict[str, MethodPolicy]:
    """The methods of the recorded contract as they are now.

    Raises:
        ProveError: This application has no such contract, or it has changed.
    """
    contract = recording.header.contract
    try:
        policies = {policy.name: policy for policy in service_policies(contract)}
    except KeyError as error:
        raise ProveError(
            f"{recording.path} is a recording of {contract}, which this application does not have",
            remedy="name a recording of one of its contracts, or another application with --app DIR",
        ) from error
    [first, *_] = policies.values()
    changes = recording.changes(first.descriptor.containing_service)
    if changes:
        raise ProveError(
            f"{recording.path} was recorded when {contract} was another: {'; '.join(changes[:5])}",
            remedy="record again",
        )
    return policies


def _count(counts: dict[str, int], key: str) -> None:
    counts[key] = counts.get(key, 0) + 1
