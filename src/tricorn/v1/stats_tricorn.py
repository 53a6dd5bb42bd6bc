"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from tricorn.v1 import stats_pb2
from tricorn.wire.call import Call, Caller


class StatsServiceClient:
    SERVICE = "tricorn.v1.StatsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def get_process_stats(self, request: stats_pb2.GetProcessStatsRequest, *, deadline: float | None = None) -> stats_pb2.ProcessStats:
        return await self._caller.call("tricorn.v1.StatsService/GetProcessStats", request, deadline)  # type: ignore[return-value]


class StatsServiceBase(abc.ABC):
    SERVICE = "tricorn.v1.StatsService"

    @abc.abstractmethod
    async def get_process_stats(self, request: stats_pb2.GetProcessStatsRequest, call: Call) -> stats_pb2.ProcessStats: ...
