"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from tricorn.v1 import limits_pb2
from tricorn.wire.call import Call, Caller


class LimitsServiceClient:
    SERVICE = "tricorn.v1.LimitsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def check_rate_limit(self, request: limits_pb2.CheckRateLimitRequest, *, deadline: float | None = None) -> limits_pb2.CheckRateLimitResponse:
        return await self._caller.call("tricorn.v1.LimitsService/CheckRateLimit", request, deadline)  # type: ignore[return-value]


class LimitsServiceBase(abc.ABC):
    SERVICE = "tricorn.v1.LimitsService"

    @abc.abstractmethod
    async def check_rate_limit(self, request: limits_pb2.CheckRateLimitRequest, call: Call) -> limits_pb2.CheckRateLimitResponse: ...
