"""Judges a cutover while it goes on: whether a step may be left, must be waited for, or has failed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from tricorn.host.references import REFERENCE
from tricorn.prove.sequential import Count, Watch, upper_rate
from tricorn.prove.tally import Tallies, Tally

_METRICS = 3
_QUANTILE = 0.95
_MOST_PER_LOOK = 3.0
"""Of the evidence that calls are slow: e**3, about 20 times, so that one bad second cannot be enough."""

_ENOUGH_TO_COMPARE = 50

_COLD = 20
"""The candidate's first calls, whose times are not judged: connections are made and caches filled."""


@dataclass(frozen=True)
class Limits:
    """What is tolerated, and how much must be seen.

    Args:
        alpha: The chance that a candidate within the tolerances is ever turned away, over all metrics, methods and steps.
        errors: How much higher the share of failed calls may be.
        slow: How much higher the share of slow calls may be. Slow is what takes longer than the reference's P95 plus a margin.
        margin: That margin, as a share of the P95.
        margin_seconds: The least it is.
        differences: The share of compared answers that may differ; 0: none.
        calls: Of the candidate, before a step may be left (before the first step: of the reference).
        compared: Answers to compare before a step may be left, where there is shadow.
        looks: New tallies to look at before a step may be left; processes write them once a second.
    """

    alpha: float = 0.01
    errors: float = 0.005
    slow: float = 0.05
    margin: float = 0.25
    margin_seconds: float = 0.02
    differences: float = 0.0
    calls: int = 100
    compared: int = 20
    looks: int = 4

    def __post_init__(self) -> None:
        shares = (self.errors, self.slow, self.differences)
        if not 0 < self.alpha < 1 or not all(0 <= share < 1 for share in shares):
            raise ValueError("alpha, errors, slow and differences are shares, from 0 to below 1")
        if min(self.margin, self.margin_seconds, self.calls, self.compared, self.looks) < 0:
            raise ValueError("margins and least numbers are not negative")

    def to_json(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class Verdict:
    """``why`` says what is missing or what was found. ``figures`` are by method, of the step so far."""

    kind: Literal["go", "wait", "breach"]
    why: str
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Side:
    """An implementation of a method: what was counted at the last look, since the step began, and in all."""

    last: Tally = field(default_factory=Tally)
    step: Tally = field(default_factory=Tally)
    total: Tally = field(default_factory=Tally)

    def take(self, now: Tally) -> Tally:
        """What was counted since the last look. A process that started again counts from zero."""
        new = _minus(now, self.last) or now
        self.last = now
        for kept in (self.step, self.total):
            kept.merge(new)
        return new


class _Method:
    def __init__(self, name: str, language: str, limits: Limits, alpha: float) -> None:
        self.name = name
        self.reference, self.candidate = _Side(), _Side()
        self.threshold: float | None = None  # seconds; set once enough of the reference was seen
        self.slow: Watch | None = None
        self._language = language
        self._limits = limits
        self._alpha = alpha
        self._errors = Watch(limits.errors, alpha)
        self._differences = Watch(limits.differences, alpha)

    def begin_step(self) -> None:
        self.reference.step, self.candidate.step = Tally(), Tally()

    def take(self, reference: Tally, candidate: Tally, others: Tally) -> str:
        """Look at what is new; what is wrong, or nothing. `others` is what all methods of the reference did so far."""
        known = self.reference.total if self.reference.total.calls >= _ENOUGH_TO_COMPARE else others
        mine, its = self.reference.take(reference), self.candidate.take(candidate)
        self._differences.alone(Count(its.compared, min(its.different, its.compared)), 0.0)
        self._fix_threshold()
        errors = Count(its.calls, min(its.errors, its.calls))
        if mine.calls:
            self._errors.look(errors, Count(mine.calls, min(mine.errors, mine.calls)))
        elif known.calls >= _ENOUGH_TO_COMPARE:
            self._errors.alone(errors, upper_rate(Count(known.calls, known.errors)))
        self._look_at_times(mine, its)
        return self._breach()

    def _fix_threshold(self) -> None:
        times = self.reference.total.latency
        if self.threshold is not None or times.total < _ENOUGH_TO_COMPARE:
            return
        p95 = times.quantile(_QUANTILE)
        self.threshold = p95 + max(p95 * self._limits.margin, self._limits.margin_seconds)
        expected = Count(times.total, times.above(self.threshold))
        self.slow = Watch(self._limits.slow, self._alpha, _MOST_PER_LOOK, expected)

    def _look_at_times(self, mine: Tally, its: Tally) -> None:
        if self.slow is None or self.threshold is None:
            return
        if self.candidate.total.latency.total - its.latency.total < _COLD:
            return
        slow = Count(its.latency.total, its.latency.above(self.threshold))
        if mine.latency.total:
            self.slow.look(slow, Count(mine.latency.total, mine.latency.above(self.threshold)))
        else:
            times = self.reference.total.latency
            self.slow.alone(slow, upper_rate(Count(times.total, times.above(self.threshold))))

    def _breach(self) -> str:
        mine, its, language = self.reference.step, self.candidate.step, self._language
        if self._differences.alarm:
            return f"{self.name}: {its.different} of {its.compared} compared answers of {language} differ in this step"
        if self._errors.alarm:
            return (
                f"{self.name}: {its.errors} of {its.calls} calls to {language} failed in this step,"
                f" {mine.errors} of {mine.calls} to {REFERENCE}"
            )
        if self.slow is not None and self.slow.alarm and self.threshold is not None:
            return (
                f"{self.name}: {its.latency.above(self.threshold)} of {its.latency.total} calls to {language} took longer"
                f" than {self.threshold * 1e3:.1f} ms in this step, {mine.latency.above(self.threshold)} of"
                f" {mine.latency.total} to {REFERENCE}"
            )
        return ""

    def figures(self) -> dict[str, Any]:
        mine, its, slow = self.reference.step, self.candidate.step, self.threshold
        said: dict[str, Any] = {
            "calls": {REFERENCE: mine.calls, self._language: its.calls},
            "errors": {REFERENCE: mine.errors, self._language: its.errors},
            "p95Ms": {REFERENCE: _p95(mine), self._language: _p95(its)},
            "compared": its.compared,
            "different": its.different,
        }
        if slow is not None:
            said["slowMs"] = round(slow * 1e3, 3)
            said["slow"] = {REFERENCE: mine.latency.above(slow), self._language: its.latency.above(slow)}
        return said


class StepJudge:
    """Judges one cutover from its first look to its last, step by step. What was seen in earlier steps goes on counting for the alarms.

    Args:
        methods: Those that are moved, by their full names.
        language: The implementation that they are moved to.
        shadowed: Those of them whose answers are compared.
    """

    def __init__(self, methods: tuple[str, ...], language: str, limits: Limits, shadowed: frozenset[str]) -> None:
        self._language = language
        self._limits = limits
        self._shadowed = shadowed
        alpha = limits.alpha / (_METRICS * len(methods))
        self._methods = {name: _Method(name.partition("/")[2], language, limits, alpha) for name in methods}
        self._looks = 0
        self._share = 0
        self._seen: Any = None

    def begin_step(self, share: int) -> None:
        """A step begins: from now on `share` basis points of the calls go to the candidate."""
        self._share = share
        self._looks = 0
        for method in self._methods.values():
            method.begin_step()

    def take(self, tallies: Tallies) -> Verdict:
        """Judge what was counted since the cutover began, all generations together."""
        found = {
            name: (tallies.of(REFERENCE, method=name), tallies.of(self._language, method=name))
            for name in self._methods
        }
        seen = {name: [(side.calls, side.compared) for side in sides] for name, sides in found.items()}
        if seen == self._seen:
            return self._verdict("")
        self._seen = seen
        self._looks += 1
        others = Tally()
        for method in self._methods.values():
            others.merge(method.reference.total)
        # Each method is looked at, also after one has failed: the figures are for the ledger.
        wrong = [self._methods[name].take(*sides, others) for name, sides in found.items()]
        return self._verdict("; ".join(filter(None, wrong)))

    def _verdict(self, wrong: str) -> Verdict:
        figures = {
            method.name: method.figures()
            for method in self._methods.values()
            if method.reference.step.calls or method.candidate.step.calls or method.candidate.step.compared
        }
        if wrong:
            return Verdict("breach", wrong, figures)
        missing = self._missing()
        return Verdict("wait" if missing else "go", missing, figures)

    def _missing(self) -> str:
        side = self._language if self._share else REFERENCE
        sides = [method.candidate if self._share else method.reference for method in self._methods.values()]
        calls = sum(each.step.calls for each in sides)
        shadowed = [self._methods[name] for name in self._shadowed]
        compared = sum(method.candidate.step.compared for method in shadowed)
        comparable = any(side.step.calls for method in shadowed for side in (method.reference, method.candidate))
        lacks = []
        if calls < self._limits.calls:
            lacks.append(f"{calls} of {self._limits.calls} calls to {side}")
        if comparable and compared < self._limits.compared:
            lacks.append(f"{compared} of {self._limits.compared} answers compared")
        if not lacks and self._looks < self._limits.looks:
            lacks.append(f"{self._looks} of {self._limits.looks} looks")
        return ", ".join(lacks)

    @property
    def quiet(self) -> bool:
        """Whether nobody called anything in this step."""
        return not any(side.step.calls for each in self._methods.values() for side in (each.reference, each.candidate))

    @property
    def unseen(self) -> list[str]:
        """Methods for which the candidate was never asked, not even by shadow: what was seen says nothing of them."""
        totals = {each.name: each.candidate.total for each in self._methods.values()}
        return [name for name, total in totals.items() if not (total.calls or total.compared)]


def _minus(now: Tally, before: Tally) -> Tally | None:
    """What came in between; None when something is less than before."""
    new = Tally(
        now.calls - before.calls,
        now.errors - before.errors,
        now.compared - before.compared,
        now.different - before.different,
    )
    counts = {
        bucket: now.latency.counts.get(bucket, 0) - before.latency.counts.get(bucket, 0)
        for bucket in now.latency.counts.keys() | before.latency.counts.keys()
    }
    new.latency.counts = {bucket: count for bucket, count in counts.items() if count}
    new.latency.total = now.latency.total - before.latency.total
    new.latency.seconds = now.latency.seconds - before.latency.seconds
    least = min(new.calls, new.errors, new.compared, new.different, *new.latency.counts.values(), 0)
    return None if least < 0 else new


def _p95(tally: Tally) -> float | None:
    if not tally.latency.total:
        return None
    value = tally.latency.quantile(_QUANTILE) * 1e3
    return round(value, 3) if math.isfinite(value) else None
