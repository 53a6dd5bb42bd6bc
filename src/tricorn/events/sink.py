"""Where events arrive in a process: the contract `tricorn.v1.EventSinkService`, and how a relay reaches it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from tricorn.contract import PlatformReason, Refusal
from tricorn.events.event import StoredEvent
from tricorn.events.inbox import Subscription
from tricorn.v1 import events_pb2
from tricorn.v1.events_tricorn import EventSinkServiceBase, EventSinkServiceClient
from tricorn.wire import Call

Deliver = Callable[[Subscription[Any], Sequence[StoredEvent]], Awaitable[list[str]]]


class LocalSink:
    """The durable subscriptions of this process; a relay in the same process calls it directly.

    Args:
        subscriptions: The groups that are at home here.
        deliver: Has a group's events take effect, by default here; see `tricorn.events.moved` for groups that moved.
    """

    def __init__(self, subscriptions: Iterable[Subscription[Any]], deliver: Deliver = Subscription.deliver) -> None:
        self._subscriptions = {subscription.group: subscription for subscription in subscriptions}
        self._deliver = deliver

    @property
    def routes(self) -> dict[str, frozenset[str]]:
        """The types of event (full names of messages) that each group handles."""
        return {group: frozenset(subscription.handlers) for group, subscription in self._subscriptions.items()}

    async def deliver(self, group: str, events: Sequence[StoredEvent]) -> list[str]:
        """See `tricorn.events.line.Sink`.

        Raises:
            Refusal: NOT_FOUND, when the group is not at home here; UNAVAILABLE, when it can take nothing now.
        """
        subscription = self._subscriptions.get(group)
        if subscription is None:
            raise Refusal(PlatformReason.NOT_FOUND, f"group {group!r} has no handlers in this process")
        return await self._deliver(subscription, events)


class WireSink:
    """The subscriptions of another process."""

    def __init__(self, client: EventSinkServiceClient) -> None:
        self._client = client

    async def deliver(self, group: str, events: Sequence[StoredEvent]) -> list[str]:
        """See `tricorn.events.line.Sink`."""
        request = events_pb2.DeliverRequest(group=group, events=[event.to_wire() for event in events])
        answer = await self._client.deliver(request)
        found = {
            delivery.event_id: "" if delivery.acknowledged else delivery.error or "not acknowledged"
            for delivery in answer.deliveries
        }
        return [found.get(event.meta.id, "UNAVAILABLE: the sink's answer leaves it out") for event in events]


class EventSinkServer(EventSinkServiceBase):
    """Serves a process's subscriptions to the relays of others."""

    def __init__(self, sink: LocalSink) -> None:
        self._sink = sink

    async def list_subscriptions(
        self, request: events_pb2.ListSubscriptionsRequest, call: Call
    ) -> events_pb2.ListSubscriptionsResponse:
        del request, call
        return events_pb2.ListSubscriptionsResponse(
            subscriptions=[
                events_pb2.Subscription(group=group, types=sorted(types))
                for group, types in sorted(self._sink.routes.items())
            ]
        )

    async def deliver(self, request: events_pb2.DeliverRequest, call: Call) -> events_pb2.DeliverResponse:
        del call
        events = [StoredEvent.from_wire(event) for event in request.events]
        results = await self._sink.deliver(request.group, events)
        return events_pb2.DeliverResponse(
            deliveries=[
                events_pb2.Delivery(event_id=event.meta.id, acknowledged=not error, error=error)
                for event, error in zip(events, results, strict=True)
            ]
        )
