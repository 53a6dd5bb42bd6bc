"""Asks the other implementation about a call that was answered, and finds what the two outcomes have to say to each other."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal
from tricorn.contract.compare import Difference
from tricorn.prove.examples import as_json, field_of, shown_differences
from tricorn.prove.figures import Comparisons, Figures, Pairing
from tricorn.prove.outcome import ANSWERED, REFUSED, Outcome, compare
from tricorn.prove.redaction import redact
from tricorn.prove.tally import Arm, Tallies
from tricorn.telemetry.cpu import CpuMeter, metered
from tricorn.wire import Call
from tricorn.wire.bindings import REFERENCE
from tricorn.wire.call import REFUSED_EFFECT
from tricorn.wire.errors import to_status
from tricorn.wire.route import Channel
from tricorn.wire.split import CALL

_log = telemetry.get_logger("tricorn.prove")

REST_SECONDS = 0.5

TWICE = 20
"""The reference is asked again in one pair of so many that are the same: for its CPU, and to see whether it contradicts itself."""

LOCAL = "this process"
"""What `LocalChannel` calls its target: only there can the CPU of a call be counted."""

_LONGEST_DEADLINE = 10.0

UNAVAILABLE, TIMED_OUT, MOVED, UNSTEADY = "unavailable", "timed out", "state moved", "reference contradicts itself"
EFFECT, FAILED = "leads to an effect", "could not be compared"
_CAUSES = {
    PlatformReason.UNAVAILABLE.value: UNAVAILABLE,
    PlatformReason.DEADLINE_EXCEEDED.value: TIMED_OUT,
    PlatformReason.CANCELLED.value: TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class ShadowOrder:
    """That a method is shadowed: with which implementation, how many of its calls (basis points), under which generation of its binding."""

    implementation: str
    sample: int
    generation: int


@dataclass(frozen=True, slots=True)
class Said:
    """An outcome as it was: an answer serialised, so that nobody changes it any more."""

    content: bytes | Refusal
    seconds: float
    cpu: float | None = None

    @property
    def outcome(self) -> Outcome:
        if isinstance(self.content, Refusal):
            code, status = to_status(self.content)
            return Outcome(REFUSED, code.name, status)
        return Outcome(ANSWERED, payload=self.content)

    def is_gone(self) -> str | None:
        """Why this is nothing to compare; None when it is."""
        if not isinstance(self.content, Refusal):
            return None
        return EFFECT if REFUSED_EFFECT in self.content.metadata else _CAUSES.get(self.content.reason)


@dataclass(frozen=True, slots=True)
class Pair:
    """A call that was answered, with what it takes to ask the other implementation the same."""

    order: ShadowOrder
    call: Call
    request: bytes
    first: Said
    answered_by: str

    @property
    def reversed(self) -> bool:
        return self.answered_by != REFERENCE

    @property
    def other(self) -> str:
        return REFERENCE if self.reversed else self.order.implementation

    @property
    def size(self) -> int:
        return len(self.request) + (0 if isinstance(self.first.content, Refusal) else len(self.first.content))


class Comparer:
    """Compares pairs; counts what it finds.

    Args:
        reach: The way to an implementation of a method.
        found: Where the figures go.
        tallies: Where it is counted how often a candidate was compared, and differed.
        rest: Seconds before another copy is sent to an implementation that was not there.
    """

    def __init__(
        self,
        reach: Callable[[MethodPolicy, str], Channel],
        found: Comparisons,
        tallies: Tallies,
        *,
        rest: float = REST_SECONDS,
    ) -> None:
        self._found = found
        self._reach = reach
        self._tallies = tallies
        self._rest = rest

    async def compare(self, policy: MethodPolicy, pair: Pair) -> None:
        """Asks the other implementation and counts what came of it."""
        figures = self._found.of(Pairing(policy.full_name, pair.order.implementation))
        second = await self._ask(policy, pair, pair.other)
        reference, candidate = (second, pair.first) if pair.reversed else (pair.first, second)
        figures.reversed += pair.reversed
        for who, said in (("reference", reference), ("candidate", candidate)):
            if cause := said.is_gone():
                figures.not_comparable(f"{who} {cause}")
                if cause == UNAVAILABLE:
                    await asyncio.sleep(self._rest)
                return
        _measure(figures, reference, candidate)
        if reference.content == candidate.content:
            await self._same(policy, pair, figures, reference)
            return
        expected, actual = reference.outcome, candidate.outcome
        differences = compare(policy, expected, actual).differences
        if not differences:
            await self._same(policy, pair, figures, reference)
            return
        excuse = await self._excuse(policy, pair, figures, reference)
        if excuse:
            figures.not_comparable(excuse)
            return
        figures.different += 1
        fields = sorted({field_of(each) for each in differences})
        for name in fields:
            figures.fields[name] = figures.fields.get(name, 0) + 1
        arm = self._tallies.arm(Arm(policy.full_name, pair.order.implementation, pair.order.generation))
        arm.compared += 1
        arm.different += 1
        self._keep(policy, pair, figures, fields=fields, differences=differences, expected=expected, actual=actual)

    @staticmethod
    def _keep(
        policy: MethodPolicy,
        pair: Pair,
        figures: Figures,
        *,
        fields: list[str],
        differences: Sequence[Difference],
        expected: Outcome,
        actual: Outcome,
    ) -> None:
        """Keeps a difference as an example, and tells the log of each kind once."""
        request = policy.input.FromString(pair.request)
        redacted = redact(request)
        kept = figures.keep(
            {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "request": as_json(request),
                "redacted": redacted,
                "fields": fields,
                "differences": [
                    {"path": each.path, "expected": each.expected, "actual": each.actual}
                    for each in shown_differences(policy, differences, expected, actual)
                ],
            }
        )
        if kept:
            _log.warning(
                "shadow found a difference",
                method=policy.full_name,
                implementation=pair.order.implementation,
                fields=fields,
            )

    async def _same(self, policy: MethodPolicy, pair: Pair, figures: Figures, reference: Said) -> None:
        figures.same += 1
        self._tallies.arm(Arm(policy.full_name, pair.order.implementation, pair.order.generation)).compared += 1
        if pair.reversed or figures.same % TWICE != 1:
            return
        again = await self._ask(policy, pair, REFERENCE)
        if again.is_gone():
            return
        figures.asked_twice += 1
        figures.unsteady += self._differ(policy, reference, again)
        if again.cpu is not None:
            figures.reference_cpu.seconds += again.cpu
            figures.reference_cpu.calls += 1

    async def _excuse(self, policy: MethodPolicy, pair: Pair, figures: Figures, reference: Said) -> str:
        """Why a difference says nothing; empty when it does."""
        pure = policy.split_key == CALL
        asked = REFERENCE if pure else pair.answered_by
        again = await self._ask(policy, pair, asked)
        if again.is_gone():
            # Nobody can say whether the state moved. Without state it cannot have.
            return "" if pure else f"{'reference' if asked == REFERENCE else 'candidate'} {again.is_gone()}"
        before = reference if pure else pair.first
        moved = self._differ(policy, before, again)
        if asked == REFERENCE:
            figures.asked_twice += 1
            figures.unsteady += moved
        if not moved:
            return ""
        return UNSTEADY if pure else MOVED

    @staticmethod
    def _differ(policy: MethodPolicy, one: Said, other: Said) -> bool:
        return one.content != other.content and bool(compare(policy, one.outcome, other.outcome).differences)

    async def _ask(self, policy: MethodPolicy, pair: Pair, implementation: str) -> Said:
        seconds = min(policy.deadline, _LONGEST_DEADLINE)
        call = Call(
            policy.full_name, pair.call.identity, time.monotonic() + seconds, "", pair.call.metadata, shadow=True
        )
        request = policy.input.FromString(pair.request)
        meter: CpuMeter | None = None
        began = time.perf_counter()
        content: bytes | Refusal
        try:
            channel = self._reach(policy, implementation)
            async with asyncio.timeout(seconds):
                if implementation == REFERENCE and channel.target == LOCAL:
                    meter = CpuMeter()
                    answer = await metered(channel.unary(policy, request, call), meter)
                else:
                    answer = await channel.unary(policy, request, call)
            content = frozen(answer)
        except TimeoutError:
            content = Refusal(PlatformReason.DEADLINE_EXCEEDED, "the copy was not answered in time")
        except Refusal as refusal:
            content = refusal
        return Said(content, time.perf_counter() - began, meter.seconds if meter else None)


def frozen(answer: Message) -> bytes:
    """An answer as bytes, which nobody changes any more."""
    return answer.SerializeToString(deterministic=True)


def _measure(figures: Figures, reference: Said, candidate: Said) -> None:
    figures.reference.add(reference.seconds)
    figures.candidate.add(candidate.seconds)
    if reference.cpu is not None:
        figures.reference_cpu.seconds += reference.cpu
        figures.reference_cpu.calls += 1
