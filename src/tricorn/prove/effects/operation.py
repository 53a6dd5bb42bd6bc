"""One call of a history: who called what when, and what came of it."""

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from tricorn.contract import MethodPolicy
from tricorn.prove.outcome import ANSWERED, REFUSED, Outcome, details_of, reason_of


@dataclass(frozen=True, slots=True)
class Operation:
    """``answer`` or ``reason`` (with ``metadata``) is what came of it; neither: nobody knows, it may have happened at any time since, or never.

    ``start`` and ``end`` are seconds since the epoch. ``method`` is empty for what an implementation does by itself; ``detail`` is then the
    model's own. ``by`` is the implementation that answered.
    """

    caller: int
    method: str
    start: float
    end: float = inf
    by: str = ""
    request: Any = None
    answer: Any = None
    reason: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    detail: Any = None

    @property
    def known(self) -> bool:
        """Whether its outcome is."""
        return self.end < inf

    def overlaps(self, other: "Operation") -> bool:
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        came = "?" if not self.known else self.reason or _line(self.answer)
        who = f"caller {self.caller} ({self.by})" if self.method else "by itself"
        return f"{who} {self.method or self.detail} {_line(self.request)} -> {came}"


def came_of(begun: Operation, policy: MethodPolicy, end: float, outcome: Outcome) -> Operation:
    """A call that was begun, with its outcome; of one that was late or broke off nobody knows whether it happened."""
    if outcome.kind == ANSWERED:
        return replace(begun, end=end, answer=policy.output.FromString(outcome.payload))
    if outcome.kind == REFUSED and outcome.code not in _UNSURE:
        return replace(begun, end=end, reason=reason_of(outcome), metadata=tuple(sorted(details_of(outcome).items())))
    return begun


_UNSURE = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "CANCELLED"}
"""Refusals that do not say whether the call had an effect."""


def _line(message: Any) -> str:
    return "" if message is None else "{" + " ".join(str(message).split()) + "}"
