"""Times in fine logarithmic buckets, cheap to count into, exact to merge.

Bucket ``i`` holds the times from ``2**(i / 16)`` to ``2**((i + 1) / 16)`` microseconds: neighbours are 4.4 % apart. The first begins at zero, the
last, 447, has no end (it begins at 257 s). A quantile read from it is off by 2.2 % at most.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Self

PARTS = 16
"""Buckets to each doubling."""

BUCKETS = 28 * PARTS

_RESAMPLES = 2000
_SEED = 20


def bucket_of(seconds: float) -> int:
    """The bucket that a time falls into."""
    microseconds = seconds * 1e6
    if microseconds <= 1:
        return 0
    return min(int(math.log2(microseconds) * PARTS), BUCKETS - 1)


@lru_cache(BUCKETS + 1)
def bound(bucket: int) -> float:
    """Where a bucket begins, in seconds."""
    return math.exp2(bucket / PARTS) / 1e6 if bucket else 0.0


def _middle(bucket: int) -> float:
    return math.exp2((bucket + 0.5) / PARTS) / 1e6


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the bounds of its 95 % interval."""

    estimate: float
    low: float
    high: float


class Histogram:
    """How many times fell into each bucket; those without any are left out."""

    __slots__ = ("counts", "seconds", "total")

    def __init__(self, counts: Mapping[int, int] | None = None, seconds: float = 0.0) -> None:
        self.counts: dict[int, int] = dict(counts or {})
        self.total = sum(self.counts.values())
        self.seconds = seconds

    def add(self, seconds: float) -> None:
        bucket = bucket_of(seconds)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += 1
        self.seconds += seconds

    def merge(self, other: "Histogram") -> None:
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += other.total
        self.seconds += other.seconds

    @classmethod
    def merged(cls, histograms: Iterable["Histogram"]) -> Self:
        result = cls()
        for histogram in histograms:
            result.merge(histogram)
        return result

    @property
    def mean(self) -> float:
        """Seconds, exact; 0 when nothing was counted."""
        return self.seconds / self.total if self.total else 0.0

    def above(self, seconds: float) -> int:
        """How many times lie in buckets that begin at ``seconds`` or later, so are no shorter than it."""
        return sum(count for bucket, count in self.counts.items() if bound(bucket) >= seconds)

    def quantile(self, share: float) -> float:
        """The time, in seconds, that ``share`` (0..1) of the calls did not exceed: the geometric middle of its bucket; 0 without calls."""
        return self.ranks().at(max(1, math.ceil(share * self.total))) if self.total else 0.0

    def interval(self, share: float) -> Interval:
        """A quantile with its bootstrap interval."""
        if not self.total:
            return Interval(0.0, 0.0, 0.0)
        return Interval(self.quantile(share), *_bounds(sorted(_resampled(self, share, _dice()))))

    def ratio(self, other: "Histogram", share: float) -> Interval | None:
        """How many times as long as the other's this quantile is, with its bootstrap interval; None when one of them is empty."""
        if not self.total or not other.total:
            return None
        dice = _dice()
        pairs = zip(_resampled(self, share, dice), _resampled(other, share, dice), strict=True)
        ratios = sorted(mine / its for mine, its in pairs)
        return Interval(self.quantile(share) / other.quantile(share), *_bounds(ratios))

    def ranks(self) -> "Ranks":
        """What finds the time at a rank."""
        buckets = sorted(self.counts)
        return Ranks(buckets, list(accumulate(self.counts[bucket] for bucket in buckets)))

    def to_json(self) -> dict[str, object]:
        return {
            "seconds": round(self.seconds, 9),
            "counts": {str(bucket): self.counts[bucket] for bucket in sorted(self.counts)},
        }

    @classmethod
    def from_json(cls, said: Mapping[str, object]) -> Self:
        """What `to_json` gave.

        Raises:
            ValueError: It is of another form.
        """
        counts, seconds = said.get("counts"), said.get("seconds")
        if not isinstance(counts, dict) or not isinstance(seconds, int | float):
            raise ValueError("not a histogram")  # noqa: TRY004 - a file's content, not an argument
        return cls({int(bucket): int(count) for bucket, count in counts.items()}, float(seconds))


@dataclass(frozen=True, slots=True)
class Ranks:
    """The buckets that hold any, in order, and how many times lie in each and before it."""

    buckets: list[int]
    upto: list[int]

    def at(self, rank: int) -> float:
        return _middle(self.buckets[bisect_left(self.upto, rank)])


def _dice() -> random.Random:
    return random.Random(_SEED)  # noqa: S311 - statistics, the same each time


def _resampled(sample: Histogram, share: float, dice: random.Random) -> list[float]:
    # The k-th of n values drawn with replacement from a sample is the sample's quantile at a share that is distributed as Beta(k, n + 1 - k):
    # so a bootstrap of a quantile needs one draw for each resample, not n.
    rank = max(1, math.ceil(share * sample.total))
    ranks = sample.ranks()
    shares = (dice.betavariate(rank, sample.total + 1 - rank) for _ in range(_RESAMPLES))
    return [ranks.at(max(1, math.ceil(drawn * sample.total))) for drawn in shares]


def _bounds(drawn: list[float]) -> tuple[float, float]:
    return drawn[int(0.025 * len(drawn))], drawn[math.ceil(0.975 * len(drawn)) - 1]
