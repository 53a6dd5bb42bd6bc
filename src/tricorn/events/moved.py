"""Groups move with the contracts of their context: the native implementation that one is bound to takes its share of their events.

Python stays the reference. A group is subscribed here, and what the native implementation does not list, cannot be asked for or refuses
is handled here. That is lawful at any time, since both put what they take into the same inbox.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tricorn.contract import PlatformReason, Refusal, method_policy
from tricorn.events.event import StoredEvent
from tricorn.events.inbox import Subscription
from tricorn.events.sink import WireSink
from tricorn.telemetry import CallStats
from tricorn.v1 import events_pb2
from tricorn.v1.events_tricorn import EventSinkServiceClient
from tricorn.wire import Binding, Endpoints, OneChannel, Wire, bucket, call_scope, current_call
from tricorn.wire.fallback import Fallbacks, cause
from tricorn.wire.native import NativeChannel
from tricorn.wire.route import Channel

_LISTED_SECONDS = 30.0
"""How long it holds what a process said of its groups, as long as the bindings stay the same."""

_REST_SECONDS = 1.0
"""How long a process that did not take events is left alone; then it has to say again what its groups are."""

_LATE = 0.5
"""The share of the time left that a native implementation gets; the reference has the rest."""

_DELIVER = "tricorn.v1.EventSinkService/Deliver"


class Natives:
    """The native implementations that contracts are bound to, as far as they take events.

    Args:
        endpoints: What is bound, and where it is.
        stats: Counts the deliveries that native implementations answer, and those that fall back.
    """

    def __init__(self, endpoints: Endpoints, stats: CallStats) -> None:
        self._policy = method_policy(_DELIVER)
        self._endpoints = endpoints
        self._stats = stats
        self._fallbacks = Fallbacks(stats)
        self._processes: dict[tuple[str, str], _Process] = {}

    async def deliver(self, subscription: Subscription[Any], events: Sequence[StoredEvent]) -> list[str]:
        """As `Subscription.deliver`; the events of the aggregates in a native implementation's share take effect there."""
        found = await self._bound(subscription)
        if found is None:
            return await subscription.deliver(events)
        binding, process = found
        moved = [bucket(binding.target, event.meta.subject) < binding.share for event in events]
        ours = [event for event, there in zip(events, moved, strict=True) if not there]
        theirs = [event for event, there in zip(events, moved, strict=True) if there]
        outcomes = {
            False: iter(await subscription.deliver(ours)),
            True: iter(await self._there(process, subscription, theirs)),
        }
        return [next(outcomes[there]) for there in moved]

    async def _bound(self, subscription: Subscription[Any]) -> "tuple[Binding, _Process] | None":
        """With what the group moves, and where to: the first of its context's contracts whose native implementation lists the group."""
        bindings = self._endpoints.bindings
        for contract in subscription.contracts:
            binding = bindings.at(contract)
            addresses = self._endpoints.places(contract, binding.native) if binding.native else ()
            if addresses:
                process = self._process(random.choice(addresses), str(binding.native))  # noqa: S311 - a lot, not a secret
                if await process.lists(subscription, bindings.generation):
                    return binding, process
        return None

    def _process(self, address: str, implementation: str) -> "_Process":
        key = (address, implementation)
        if key not in self._processes:
            self._processes[key] = _Process(self._endpoints.at(address), implementation, self._stats)
        return self._processes[key]

    async def _there(
        self, process: "_Process", subscription: Subscription[Any], events: Sequence[StoredEvent]
    ) -> list[str]:
        if not events:
            return []
        call = current_call()
        left = self._policy.deadline if call is None else min(call.remaining(), self._policy.deadline)
        try:
            with call_scope(timeout=left * _LATE):
                return await process.deliver(subscription.group, events)
        except Refusal as refusal:
            why = cause(refusal)
        with self._fallbacks.one(self._policy, process.implementation, why):
            return await subscription.deliver(events)


class _Process:
    """A native process, and what it said of its groups."""

    def __init__(self, channel: Channel, implementation: str, stats: CallStats) -> None:
        self.implementation = implementation
        # What is counted is who takes events.
        self._client = EventSinkServiceClient(Wire(OneChannel(channel)))
        self._sink = WireSink(EventSinkServiceClient(Wire(OneChannel(NativeChannel(channel, implementation, stats)))))
        self._groups: Mapping[str, frozenset[str]] | None = None
        self._generation = -1
        self._ask_at = 0.0
        self._lost: Refusal | None = None
        self._asking = asyncio.Lock()

    async def lists(self, subscription: Subscription[Any], generation: int) -> bool:
        """Whether it handles all that the group handles here; as it said last, when it does not answer."""
        async with self._asking:
            if generation != self._generation or time.monotonic() >= self._ask_at:
                await self._ask(generation)
        types = (self._groups or {}).get(subscription.group, frozenset())
        return types.issuperset(subscription.handlers)

    async def deliver(self, group: str, events: Sequence[StoredEvent]) -> list[str]:
        """See `tricorn.events.line.Sink`.

        Raises:
            Refusal: It did not take the events, or did not when it was last asked.
        """
        if self._lost is not None:
            raise Refusal(self._lost.reason, self._lost.detail, sent=False)
        try:
            return await self._sink.deliver(group, events)
        except Refusal as refusal:
            self._rest(refusal)
            raise

    async def _ask(self, generation: int) -> None:
        self._generation = generation
        try:
            answer = await self._client.list_subscriptions(events_pb2.ListSubscriptionsRequest())
        except Refusal as refusal:
            # Nobody waits time and again for a process that has no groups.
            if refusal.reason != PlatformReason.UNIMPLEMENTED and self._groups != {}:
                self._rest(refusal)
                return
            answer = events_pb2.ListSubscriptionsResponse()
        self._groups = {each.group: frozenset(each.types) for each in answer.subscriptions}
        self._lost = None
        self._ask_at = time.monotonic() + _LISTED_SECONDS

    def _rest(self, refusal: Refusal) -> None:
        self._lost = refusal
        self._ask_at = time.monotonic() + _REST_SECONDS
