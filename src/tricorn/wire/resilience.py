"""Retries with a budget, and circuit breakers."""

import random
import time
from dataclasses import dataclass, field

from tricorn.contract import PlatformReason, Refusal

RETRYABLE = frozenset({PlatformReason.UNAVAILABLE.value, PlatformReason.ABORTED.value})
"""Reasons after which the same call may succeed a moment later."""

FAILURES = 20
"""Failures in a row after which a target is given a rest."""


@dataclass(slots=True)
class RetryBudget:
    """Retries may add at most one to every ``calls_per_retry`` calls, so that they never multiply an overload; ``most`` may
    come at once. A token bucket, counted in calls.
    """

    calls_per_retry: int = 10
    most: int = 10
    _credit: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._credit = self.most * self.calls_per_retry

    def called(self) -> None:
        self._credit = min(self.most * self.calls_per_retry, self._credit + 1)

    def take(self) -> bool:
        if self._credit < self.calls_per_retry:
            return False
        self._credit -= self.calls_per_retry
        return True


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with full jitter: attempt ``n`` waits between 0 and ``base * 2**n`` seconds, never above ``most``."""

    base: float = 0.02
    most: float = 0.5
    attempts: int = 3

    def delay(self, attempt: int) -> float:
        return random.uniform(0, min(self.most, self.base * 2**attempt))  # noqa: S311 - jitter, not a secret


class BreakerOpenError(Refusal):
    """UNAVAILABLE, because a target failed too often; the call was not sent."""


class Breaker:
    """Opens after ``threshold`` failures in a row, lets one call through after ``rest`` seconds, closes when that one succeeds.

    Only what tells of a broken server counts as a failure: UNAVAILABLE, DEADLINE_EXCEEDED and INTERNAL.
    """

    COUNTED = frozenset(
        {PlatformReason.UNAVAILABLE.value, PlatformReason.DEADLINE_EXCEEDED.value, PlatformReason.INTERNAL.value}
    )

    __slots__ = ("_failures", "_opened_at", "_probing", "_rest", "_threshold", "target")

    def __init__(self, target: str, *, threshold: int = FAILURES, rest: float = 1.0) -> None:
        self.target = target
        self._threshold = threshold
        self._rest = rest
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._opened_at is not None

    def before(self) -> None:
        """Asks whether a call may be made.

        Raises:
            BreakerOpenError: The breaker is open.
        """
        if self._opened_at is None:
            return
        waited = time.monotonic() - self._opened_at
        if self._probing or waited < self._rest:
            raise BreakerOpenError(
                PlatformReason.UNAVAILABLE,
                f"{self.target.partition(' at ')[0]} failed too often and is given a rest",
                retry_after=max(self._rest - waited, 0.1),
                sent=False,
            )
        self._probing = True

    def succeeded(self) -> None:
        self._failures = 0
        self._opened_at = None
        self._probing = False

    def failed(self, reason: str) -> None:
        if reason not in self.COUNTED:
            self.succeeded()
            return
        self._failures += 1
        if self._probing or self._failures >= self._threshold:
            self._opened_at = time.monotonic()
        self._probing = False

    def abandoned(self) -> None:
        """The caller went away before the answer came: nothing was learned."""
        self._probing = False
