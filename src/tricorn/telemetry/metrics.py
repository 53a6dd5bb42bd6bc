"""Counts and times of calls, kept by this process.

One `CallStats` feeds both the stats contract and the Prometheus endpoint, so that the two never disagree.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Bounds of buckets are powers of two, each cut into 8 equal parts: an estimate is 12.5 % high at most.
_PARTS = 8
_LOWEST_EXPONENT = -19  # everything below 2**-20 s, a microsecond
_HIGHEST_EXPONENT = 8  # everything above 2**8 s
_BUCKETS = (_HIGHEST_EXPONENT - _LOWEST_EXPONENT + 1) * _PARTS


@dataclass(frozen=True, slots=True)
class CallFigures:
    """Calls since the start of the process. Times in milliseconds; `p99` is an estimate, at most 12.5 % too high."""

    service: str
    implementation: str
    calls: int
    errors: int
    mean_milliseconds: float
    p99_milliseconds: float


class MethodTimes:
    """The calls of one method by one implementation."""

    __slots__ = ("buckets", "calls", "errors", "implementation", "method", "seconds", "service")

    def __init__(self, method: str, implementation: str) -> None:
        self.service, _, self.method = method.partition("/")
        self.implementation = implementation
        self.calls = 0
        self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * _BUCKETS

    def cumulative(self) -> list[tuple[float, int]]:
        """Upper bounds in seconds (powers of two from 0.1 ms to 64 s, then infinity) with the calls up to each."""
        bounds: list[tuple[float, int]] = []
        total = 0
        for exponent in range(_LOWEST_EXPONENT, _HIGHEST_EXPONENT):
            first = (exponent - _LOWEST_EXPONENT) * _PARTS
            total += sum(self.buckets[first : first + _PARTS])
            if -13 <= exponent <= 6:  # noqa: PLR2004 - the range the docstring gives
                bounds.append((2.0**exponent, total))
        bounds.append((math.inf, self.calls))
        return bounds


class CallStats:
    """Call counts and latency histograms; safe to use from several threads."""

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str], MethodTimes] = {}
        self._fallbacks: dict[tuple[str, str, str], int] = {}
        self._lock = threading.Lock()
        self.started = time.time()

    def observe(self, method: str, implementation: str, seconds: float, error: bool) -> None:
        """Count one call of `method` ("package.Service/Method") that took `seconds`."""
        with self._lock:
            times = self._methods.get((method, implementation))
            if times is None:
                times = self._methods[method, implementation] = MethodTimes(method, implementation)
            times.calls += 1
            times.seconds += seconds
            if error:
                times.errors += 1
            times.buckets[_bucket(seconds)] += 1

    def fell_back(self, method: str, implementation: str, why: str) -> None:
        """Count one call of `method` that was bound to `implementation` and was answered by the reference, or refused above the cap."""
        with self._lock:
            key = (method, implementation, why)
            self._fallbacks[key] = self._fallbacks.get(key, 0) + 1

    def fallbacks(self) -> dict[tuple[str, str, str], int]:
        """Calls that fell back, by method ("package.Service/Method"), the implementation that did not answer, and why."""
        with self._lock:
            return dict(self._fallbacks)

    def snapshot(self) -> list[CallFigures]:
        """One entry for each service and implementation that was called, in order of name."""
        return self._figures(lambda times: times.service)

    def methods(self) -> list[CallFigures]:
        """Like `snapshot`, for each method: `service` is then "package.Service/Method"."""
        return self._figures(lambda times: f"{times.service}/{times.method}")

    def raw(self) -> list[MethodTimes]:
        """The live counters, in order of first call. Read only."""
        return list(self._methods.values())

    def _figures(self, name_of: Callable[[MethodTimes], str]) -> list[CallFigures]:
        groups: dict[tuple[str, str], list[MethodTimes]] = {}
        with self._lock:
            for times in self._methods.values():
                groups.setdefault((name_of(times), times.implementation), []).append(times)
            return [
                _merge(name, implementation, groups[name, implementation]) for name, implementation in sorted(groups)
            ]


def _merge(name: str, implementation: str, group: Sequence[MethodTimes]) -> CallFigures:
    calls = sum(times.calls for times in group)
    buckets = [sum(column) for column in zip(*(times.buckets for times in group), strict=True)]
    return CallFigures(
        service=name,
        implementation=implementation,
        calls=calls,
        errors=sum(times.errors for times in group),
        mean_milliseconds=1000 * sum(times.seconds for times in group) / calls,
        p99_milliseconds=1000 * quantile(buckets, 0.99),
    )


def _bucket(seconds: float) -> int:
    mantissa, exponent = math.frexp(seconds)
    if exponent < _LOWEST_EXPONENT or seconds <= 0:
        return 0
    if exponent > _HIGHEST_EXPONENT:
        return _BUCKETS - 1
    return (exponent - _LOWEST_EXPONENT) * _PARTS + int((mantissa - 0.5) * 2 * _PARTS)


def quantile(buckets: Sequence[int], share: float) -> float:
    """The upper bound in seconds of the bucket that holds the call at `share` (0..1]; 0 when there were no calls."""
    total = sum(buckets)
    wanted = math.ceil(total * share)
    seen = 0
    for index, count in enumerate(buckets):
        seen += count
        if count and seen >= wanted:
            exponent, part = divmod(index, _PARTS)
            return math.ldexp(0.5 + (part + 1) / (2 * _PARTS), exponent + _LOWEST_EXPONENT)
    return 0.0
