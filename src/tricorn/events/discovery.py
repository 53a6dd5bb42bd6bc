"""Which groups other processes subscribe with, asked of them."""

import asyncio
import time
from collections.abc import Iterable

from tricorn.contract import PlatformReason, Refusal
from tricorn.events.relay import Route
from tricorn.events.sink import WireSink
from tricorn.v1 import events_pb2
from tricorn.v1.events_tricorn import EventSinkServiceClient
from tricorn.wire import OneChannel, Wire, call_scope
from tricorn.wire.route import Channel

_PAUSE = 0.1


async def remote_routes(channels: Iterable[Channel], seconds: float) -> list[Route]:
    """The routes to every group of the processes behind some channels.

    An event that no route wants is done, so nothing may be relayed before every process has answered.

    Raises:
        Refusal: UNAVAILABLE, when one has not answered within ``seconds``.
    """
    found = await asyncio.gather(*(_routes(channel, time.monotonic() + seconds) for channel in channels))
    return [route for routes in found for route in routes]


async def _routes(channel: Channel, until: float) -> list[Route]:
    client = EventSinkServiceClient(Wire(OneChannel(channel)))
    while True:
        with call_scope(timeout=max(until - time.monotonic(), 0)):
            try:
                answer = await client.list_subscriptions(events_pb2.ListSubscriptionsRequest())
            except Refusal as refusal:
                if time.monotonic() + _PAUSE >= until:
                    detail = f"{channel.target} does not say what it subscribes to: {refusal.detail}"
                    raise Refusal(PlatformReason.UNAVAILABLE, detail) from refusal
                await asyncio.sleep(_PAUSE)
                continue
        sink = WireSink(client)
        return [Route(each.group, frozenset(each.types), sink) for each in answer.subscriptions]
