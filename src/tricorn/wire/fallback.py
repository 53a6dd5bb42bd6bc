"""When the reference answers in place of the native implementation that a call was bound to.

Only where nobody can tell the difference: a method without side effects whose native implementation is gone, late or
too old, or any other call that provably was not sent. So callers see what they would have seen from Python.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal
from tricorn.wire.bindings import OVER_THE_CAP
from tricorn.wire.errors import TransportRefusal
from tricorn.wire.resilience import BreakerOpenError
from tricorn.wire.route import Route

_log = telemetry.get_logger("tricorn.wire")

MOST_AT_ONCE = 32
_RETRY_AFTER = 1.0
_GONE = frozenset({PlatformReason.UNAVAILABLE.value, PlatformReason.UNIMPLEMENTED.value})
_LOG_EVERY = 10.0


def falls_back(policy: MethodPolicy, refusal: Refusal, route: Route) -> bool:
    """Whether the reference may answer a call after its native implementation gave ``refusal``."""
    if route.reference is None:
        return False
    if policy.safe:
        return refusal.reason in _GONE or isinstance(refusal, TransportRefusal)
    # An idempotency key that only one implementation knows would let the other do the same thing again.
    return not refusal.sent and (route.shared or policy.idempotency_key_field is None)


def cause(refusal: Refusal) -> str:
    """Why the native implementation did not answer: one of a few words, for metrics."""
    if isinstance(refusal, BreakerOpenError):
        return "breaker_open"
    if refusal.reason == PlatformReason.UNIMPLEMENTED:
        return "unimplemented"
    if refusal.reason == PlatformReason.UNAVAILABLE and not refusal.sent:
        return "unreachable"
    return "late" if refusal.reason == PlatformReason.DEADLINE_EXCEEDED else "broke_off"


class Fallbacks:
    """Lets so many calls at once be answered by the reference, counts them, and tells the log.

    Args:
        most: The cap. The reference may be many times slower than what it stands in for: above it calls are refused instead of
            queued, so that those within it end in time.
    """

    def __init__(self, stats: telemetry.CallStats, most: int = MOST_AT_ONCE) -> None:
        self._stats = stats
        self._most = most
        self._active = 0
        self._logged: dict[tuple[str, str, str], tuple[float, int]] = {}

    @contextmanager
    def one(self, policy: MethodPolicy, implementation: str, why: str) -> Iterator[None]:
        """Around one call that the reference answers.

        Raises:
            Refusal: UNAVAILABLE, above the cap.
        """
        if self._active >= self._most:
            self._stats.fell_back(policy.full_name, implementation, OVER_THE_CAP)
            self._tell(policy, implementation, OVER_THE_CAP)
            detail = f"{policy.name} can be answered for a few at a time just now; try again in a moment"
            raise Refusal(PlatformReason.UNAVAILABLE, detail, retry_after=_RETRY_AFTER, sent=False)
        self._stats.fell_back(policy.full_name, implementation, why)
        self._tell(policy, implementation, why)
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    def _tell(self, policy: MethodPolicy, implementation: str, why: str) -> None:
        key = (policy.service, implementation, why)
        now = time.monotonic()
        last, untold = self._logged.get(key, (-_LOG_EVERY, 0))
        if now - last < _LOG_EVERY:
            self._logged[key] = (last, untold + 1)
            return
        self._logged[key] = (now, 0)
        event = "refused: too many calls fall back" if why == OVER_THE_CAP else "the reference answers instead"
        _log.warning(event, method=policy.full_name, implementation=implementation, why=why, since_last_line=untold + 1)
