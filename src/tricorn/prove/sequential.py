"""A test that may be looked at after every batch of calls, and stopped whenever it has seen enough.

It watches one rate of a candidate (errors, differing answers, calls slower than a threshold) against that of the reference, and raises the
alarm when the candidate's is shown to be higher by more than a tolerance. However often and for however long it is looked at, the chance of a
false alarm is at most ``alpha``. How and why is `docs/decisions/0024-a-test-that-allows-looking-often.md`.

For each batch it multiplies a wealth by an *e-value*: a bet against "the candidate's rate is at most the reference's plus the tolerance", whose
mean is at most 1 while that is true, whatever the two rates are and however they drift from batch to batch. By Ville's inequality such a wealth
ever reaches ``1 / alpha`` with probability ``alpha`` at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_STEPS = (0.002, 0.006, 0.018, 0.054, 0.16, 0.48, 0.9)
"""The alternatives that are bet on: how far above the tolerated rate, as a share of what is left to 1."""

_FORGET = 0.98
_LEAST = 1e-9
_ROUNDS, _PRECISION = 60, 1e-10


@dataclass(frozen=True, slots=True)
class Count:
    """Calls seen since the last look, and how many of them were hits: errors, differences or slow ones."""

    calls: int
    hits: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.calls:
            message = f"{self.hits} hits among {self.calls} calls"
            raise ValueError(message)


@dataclass(slots=True)
class Watch:
    """Watches one rate from a start on. Not to be used again after the alarm.

    The wealth is a mixture over the alternatives of `_STEPS` and over the batch with which the difference began, so that a candidate that turns
    bad late is found about as soon as one that was bad from the start.

    Args:
        tolerance: How much higher the candidate's rate may be; 0 to 1. With 0 on `alone`, the first hit is the alarm.
        alpha: The chance of ever raising a false alarm.
        most_per_look: The most that one batch may add to the logarithm of the wealth. Calls within a batch that suffer from one and the same
            stall are not independent; with a limit no single batch can be enough.
        expected: What is known beforehand of the reference's rate.
    """

    tolerance: float
    alpha: float
    most_per_look: float = math.inf
    expected: Count = field(default_factory=lambda: Count(0, 0))
    looks: int = 0
    _known_calls: float = field(default=0.0, init=False)
    _known_hits: float = field(default=0.0, init=False)
    _running: list[float] = field(default_factory=lambda: [0.0] * len(_STEPS), init=False)
    _alarm: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1 or not 0 < self.alpha < 1:
            message = f"tolerance {self.tolerance} or alpha {self.alpha} is out of range"
            raise ValueError(message)
        self._known_calls, self._known_hits = float(self.expected.calls), float(self.expected.hits)

    @property
    def alarm(self) -> bool:
        """Whether the wealth ever reached ``1 / alpha``."""
        return self._alarm

    @property
    def wealth(self) -> float:
        """The evidence against the candidate as a factor: 1 at the start, ``1 / alpha`` at the alarm."""
        later = 1 / (self.looks + 1)  # the weight of all beginnings that are still to come
        return math.fsum(self._running) / len(_STEPS) + later

    def look(self, candidate: Count, reference: Count) -> bool:
        """Take a batch in which both answered calls; True from the alarm on. A batch in which either had none tells nothing."""
        if candidate.calls and reference.calls:
            self._bet(candidate, reference, (self._known_hits + 0.5) / (self._known_calls + 1))
        self._known_calls = self._known_calls * _FORGET + reference.calls
        self._known_hits = self._known_hits * _FORGET + reference.hits
        return self._alarm

    def alone(self, candidate: Count, rate: float) -> bool:
        """Take a batch that is held against a fixed rate, where no reference answers beside the candidate."""
        if rate + self.tolerance <= 0:
            self._alarm = self._alarm or candidate.hits > 0
        elif candidate.calls:
            self._bet(candidate, None, rate)
        return self._alarm

    def _bet(self, candidate: Count, reference: Count | None, rate: float) -> None:
        self.looks += 1
        begins = 1 / (self.looks * (self.looks + 1))  # all beginnings together weigh 1
        allowed = min(rate + self.tolerance, 1 - _LEAST)
        for index, step in enumerate(_STEPS):
            alternative = allowed + step * (1 - allowed)
            if reference is None:
                gain = _gain(candidate, alternative, allowed)
            else:
                null = _nearest(candidate.calls, alternative, reference.calls, rate, self.tolerance)
                gain = _gain(candidate, alternative, null + self.tolerance) + _gain(reference, rate, null)
            factor = math.exp(min(gain, self.most_per_look, 600.0))
            self._running[index] = min((self._running[index] + begins) * factor, 1e250)
        if self.wealth >= 1 / self.alpha:
            self._alarm = True


def _gain(seen: Count, alternative: float, null: float) -> float:
    """The logarithm of how much likelier what was seen is under the alternative."""
    hits = seen.hits * (math.log(max(alternative, _LEAST)) - math.log(max(null, _LEAST)))
    rest = (seen.calls - seen.hits) * (math.log(max(1 - alternative, _LEAST)) - math.log(max(1 - null, _LEAST)))
    return hits + rest


def _nearest(candidate_calls: int, alternative: float, reference_calls: int, rate: float, tolerance: float) -> float:
    """The reference's rate in the nearest case of "at most the tolerance apart", by Kullback-Leibler divergence over both samples.

    Betting the alternative against this case is what makes the mean of the factor at most 1 in every such case.
    """
    low, high = rate, alternative - tolerance
    middle = (low + high) / 2
    for _ in range(_ROUNDS):
        above = middle + tolerance
        mine, its = middle * (1 - middle), above * (1 - above)
        slope = reference_calls * (middle - rate) / mine - candidate_calls * (alternative - above) / its
        low, high = (middle, high) if slope < 0 else (low, middle)
        bend = reference_calls * (middle * (middle - 2 * rate) + rate) / (mine * mine)
        bend += candidate_calls * (above * (above - 2 * alternative) + alternative) / (its * its)
        following = middle - slope / bend  # Newton's step, where it stays inside
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - middle) <= _PRECISION * middle:
            return following
        middle = following
    return middle


def upper_rate(seen: Count, z: float = 1.96) -> float:
    """An upper bound of the rate behind a count (Wilson's interval); 1 when nothing was seen."""
    if not seen.calls:
        return 1.0
    n, share = seen.calls, seen.hits / seen.calls
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return min(1.0, (centre + spread) / (1 + z * z / n))
