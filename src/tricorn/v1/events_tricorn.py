"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from tricorn.v1 import events_pb2
from tricorn.wire.call import Call, Caller


class EventSinkServiceClient:
    SERVICE = "tricorn.v1.EventSinkService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def deliver(self, request: events_pb2.DeliverRequest, *, deadline: float | None = None) -> events_pb2.DeliverResponse:
        return await self._caller.call("tricorn.v1.EventSinkService/Deliver", request, deadline)  # type: ignore[return-value]

    async def list_subscriptions(self, request: events_pb2.ListSubscriptionsRequest, *, deadline: float | None = None) -> events_pb2.ListSubscriptionsResponse:
        return await self._caller.call("tricorn.v1.EventSinkService/ListSubscriptions", request, deadline)  # type: ignore[return-value]


class EventSinkServiceBase(abc.ABC):
    SERVICE = "tricorn.v1.EventSinkService"

    @abc.abstractmethod
    async def deliver(self, request: events_pb2.DeliverRequest, call: Call) -> events_pb2.DeliverResponse: ...

    @abc.abstractmethod
    async def list_subscriptions(self, request: events_pb2.ListSubscriptionsRequest, call: Call) -> events_pb2.ListSubscriptionsResponse: ...
