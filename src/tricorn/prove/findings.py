"""What a verification has found so far."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from tricorn.contract import MethodPolicy
from tricorn.contract.compare import Difference
from tricorn.prove.coverage import Coverage
from tricorn.prove.inputs.mix import GENERATED, Input
from tricorn.prove.outcome import ANSWERED, LATE, REFUSED, UNREAD, Comparison, Outcome, reason_of
from tricorn.v1 import options_pb2

_BROKEN = {"INTERNAL", "UNAVAILABLE", "UNKNOWN"}

MOST_KEPT = 20
"""Mismatches that are kept with their requests; the others are counted."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A request that the two answer differently. ``repeated`` is False when the candidate, asked again, gave another outcome."""

    input: Input
    expected: Outcome
    actual: Outcome
    differences: tuple[Difference, ...]
    repeated: bool = True

    @property
    def shape(self) -> tuple[str, str]:
        """What mismatches of one cause mostly have in common: the method and the field, without indices."""
        path = self.differences[0].path if self.differences else ""
        return self.input.request.method, "".join(
            part.partition("]")[2] if "]" in part else part for part in path.split("[")
        )


@dataclass(slots=True)
class Findings:
    """Counts over everything that was compared. ``compared`` and ``different`` are by source, see `inputs.mix`."""

    policies: dict[str, MethodPolicy]
    compared: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    by_method: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    not_comparable: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    mismatches: list[Mismatch] = field(default_factory=list)
    asked_twice: int = 0
    unsteady: list[Mismatch] = field(default_factory=list)
    cached: int = 0
    reference_seconds: float = 0.0
    """What the reference needed for what it computed now."""
    seconds: float = 0.0
    interrupted: bool = False
    gain: str = ""
    """What the candidate saves on the inputs that took the reference longest; empty when that was not timed."""
    ignored_bytes: int = 0
    answer_bytes: int = 0
    requests: Coverage = field(init=False)
    answers: Coverage = field(init=False)

    def __post_init__(self) -> None:
        self.requests = Coverage([policy.input.DESCRIPTOR for policy in self.policies.values()])
        self.answers = Coverage([policy.output.DESCRIPTOR for policy in self.policies.values()])

    @property
    def total(self) -> int:
        return self.compared.total()

    @property
    def asked(self) -> int:
        return self.by_method.total()

    @property
    def rate_besides_reference(self) -> int | None:
        """Comparisons in a second of what the judge and the candidate need: of a run in which all answers of the reference were known."""
        if self.cached < self.asked or not self.seconds:
            return None
        return round(self.total / self.seconds)

    @property
    def total_different(self) -> int:
        return self.different.total()

    def take(self, input_: Input, expected: Outcome, actual: Outcome, comparison: Comparison) -> Mismatch | None:
        """Counts one comparison; the mismatch, if it is one."""
        policy = self.policies[input_.request.method]
        self.by_method[policy.name] += 1
        if input_.source == GENERATED:
            self.kinds[input_.name] += 1
        if self._is_beyond_comparison(expected, actual):
            return None
        self.compared[input_.source] += 1
        self.notes["refused in other words"] += comparison.worded_otherwise
        self.notes["answers with fields that the contract does not have"] += comparison.unknown_fields
        self._cover(policy, input_, expected)
        if not comparison.differences:
            return None
        self.different[input_.source] += 1
        return Mismatch(input_, expected, actual, comparison.differences)

    def _is_beyond_comparison(self, expected: Outcome, actual: Outcome) -> bool:
        if expected.kind == LATE:
            self.not_comparable["the reference needs more than an eighth of the time that its contract allows"] += 1
        elif expected.kind == REFUSED and expected.code in _BROKEN:
            self.not_comparable["the reference itself failed, for want of its database or by a defect"] += 1
        elif UNREAD in {expected.kind, actual.kind} and expected.kind != actual.kind:
            self.not_comparable["damaged bytes that one of the two can still read"] += 1
        else:
            return False
        return True

    def _cover(self, policy: MethodPolicy, input_: Input, expected: Outcome) -> None:
        try:
            self.requests.add(policy.input.FromString(input_.request.payload))
        except DecodeError:
            return
        if expected.kind == ANSWERED:
            self.answers.add(policy.output.FromString(expected.payload))
        elif expected.kind == REFUSED:
            self.reasons[reason_of(expected)] += 1

    def weigh(self, policy: MethodPolicy, outcome: Outcome) -> None:
        """Counts how much of an answer is not compared."""
        if outcome.kind == ANSWERED:
            answer = policy.output.FromString(outcome.payload)
            before = answer.ByteSize()
            drop_ignored(answer)
            self.answer_bytes += before
            self.ignored_bytes += before - answer.ByteSize()

    @property
    def ignored_share(self) -> float:
        return self.ignored_bytes / self.answer_bytes if self.answer_bytes else 0.0

    def fields_never_set(self) -> list[str]:
        return sorted({*self.requests.fields_never_set(), *self.answers.fields_never_set()})

    def values_never_seen(self) -> list[str]:
        return sorted({*self.requests.values_never_seen(), *self.answers.values_never_seen()})


def drop_ignored(message: Any) -> None:
    """Clears every field whose policy says that it is not compared."""
    for descriptor, value in message.ListFields():
        options = descriptor.GetOptions()
        if (
            options.HasExtension(options_pb2.field)
            and options.Extensions[options_pb2.field].compare.mode == options_pb2.Compare.IGNORE
        ):
            message.ClearField(descriptor.name)
        elif descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
            if descriptor.message_type.fields_by_name["value"].message_type is not None:
                for each in value.values():
                    drop_ignored(each)
        elif descriptor.message_type is not None:
            for each in value if descriptor.is_repeated else (value,):
                drop_ignored(each)
