"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from tricorn.v1 import taps_pb2
from tricorn.wire.call import Call, Caller


class TapsServiceClient:
    SERVICE = "tricorn.v1.TapsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def take_calls(self, request: taps_pb2.TakeCallsRequest, *, deadline: float | None = None) -> taps_pb2.TakeCallsResponse:
        return await self._caller.call("tricorn.v1.TapsService/TakeCalls", request, deadline)  # type: ignore[return-value]


class TapsServiceBase(abc.ABC):
    SERVICE = "tricorn.v1.TapsService"

    @abc.abstractmethod
    async def take_calls(self, request: taps_pb2.TakeCallsRequest, call: Call) -> taps_pb2.TakeCallsResponse: ...
