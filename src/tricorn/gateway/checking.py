"""The gateway's limits for whoever works behind it: `tricorn.v1.LimitsService`."""

from collections.abc import Mapping

from tricorn.contract import PlatformReason, Refusal, Violation
from tricorn.gateway.config import Rate
from tricorn.gateway.limits import LimitStore, limit_group
from tricorn.v1 import limits_pb2
from tricorn.v1.limits_tricorn import LimitsServiceBase
from tricorn.wire import Call

_ADDRESS = "a:"


class LimitsServer(LimitsServiceBase):
    """Counts in the numbers of a gateway."""

    def __init__(self, store: LimitStore, rates: Mapping[str, Rate]) -> None:
        self._store = store
        self._rates = rates

    async def check_rate_limit(
        self, request: limits_pb2.CheckRateLimitRequest, call: Call
    ) -> limits_pb2.CheckRateLimitResponse:
        rate = self._rates.get(request.rate)
        if rate is None:
            broken = Violation("rate", "declared", f"no rate class of this application is called {request.rate}")
            raise Refusal(PlatformReason.INVALID_ARGUMENT, f"{broken.field}: {broken.message}", violations=(broken,))
        caller = request.caller
        if caller.startswith(_ADDRESS):
            caller = _ADDRESS + limit_group(caller.removeprefix(_ADDRESS))
        verdict = await self._store.take(f"{request.rate}:{caller}", rate)
        answer = limits_pb2.CheckRateLimitResponse(
            allowed=verdict.allowed, limit=verdict.limit, remaining=verdict.remaining
        )
        answer.reset_after.FromNanoseconds(int(verdict.reset * 1e9))
        answer.retry_after.FromNanoseconds(int(verdict.retry_after * 1e9))
        return answer
