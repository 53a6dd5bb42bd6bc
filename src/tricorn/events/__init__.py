"""Events: written with the business change, delivered at least once and in order per aggregate, taking effect once
per group.
"""

from tricorn.events.event import EventMeta, StoredEvent
from tricorn.events.inbox import Handler, Subscription
from tricorn.events.outbox import Change, publish, publish_sync
from tricorn.events.partition import PARTITIONS, partition_of
from tricorn.events.poke import Poke
from tricorn.events.relay import Relay, Route
from tricorn.events.runtime import Events
from tricorn.events.work import Announce, Begin, Work, announce_factory, begin_factory

__all__ = [
    "PARTITIONS",
    "Announce",
    "Begin",
    "Change",
    "EventMeta",
    "Events",
    "Handler",
    "Poke",
    "Relay",
    "Route",
    "StoredEvent",
    "Subscription",
    "Work",
    "announce_factory",
    "begin_factory",
    "partition_of",
    "publish",
    "publish_sync",
]
