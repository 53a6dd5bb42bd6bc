"""Two contexts for the tests of events: `shop` publishes strings, `books` writes down what it gets.

Also a program: `ledger.py SHOP_URL BOOKS_URL [SECONDS_OF_LEASE]` is a process that runs the shop's relay.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue

from tricorn import events
from tricorn.data import Connection, ContextMigrations, Database
from tricorn.events.line import Retry
from tricorn.events.migrations import MIGRATIONS
from tricorn.events.relay import Relay, Route
from tricorn.events.sink import LocalSink

STRING = "google.protobuf.StringValue"
CONTEXTS = [
    ContextMigrations("shop", extra={"tricorn_events": MIGRATIONS}),
    ContextMigrations("books", Path(__file__).parent / "books_migrations", extra={"tricorn_events": MIGRATIONS}),
]
FAST = Retry(attempts=3, first=0.01, longest=0.05)


class Books:
    """The subscriber's repository."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def write(self, group: str, meta: events.EventMeta, value: str) -> None:
        await self.connection.execute(
            'INSERT INTO effect ("group", subject, sequence, value) VALUES ($1, $2, $3, $4)',
            group,
            meta.subject,
            meta.sequence,
            value,
        )

    async def is_poison(self, value: str) -> bool:
        return bool(await self.connection.fetchval("SELECT true FROM poison WHERE value = $1", value))


class PoisonError(Exception):
    """What a handler raises for a value in the table `poison`."""


Before = Callable[[str, events.EventMeta], Awaitable[None]]


async def nothing(value: str, meta: events.EventMeta) -> None:
    del value, meta


def bookkeeper(books: Database, group: str = "books.all", before: Before = nothing) -> events.Subscription[Books]:
    """A group that writes every string down, unless it is poison or `before` raises."""

    async def write(event: StringValue, meta: events.EventMeta, work: events.Work[Books]) -> None:
        await before(event.value, meta)
        if await work.repository.is_poison(event.value):
            raise PoisonError(event.value)
        await work.repository.write(group, meta, event.value)

    async def reset(work: events.Work[Books]) -> None:
        await work.connection.execute('DELETE FROM effect WHERE "group" = $1', group)

    subscription = events.Subscription(group, books, Books, reset=reset)
    subscription.on(StringValue, write)
    return subscription


def relay_for(
    shop: Database, *subscriptions: events.Subscription[Books], kind: type[Relay] = Relay, **options: Any
) -> Relay:
    sink = LocalSink(subscriptions)
    routes = [Route(each.group, frozenset(each.handlers), sink) for each in subscriptions]
    return kind("shop", shop, routes, **{"retry": FAST, "poll_seconds": 0.2, "name": "test", **options})


@asynccontextmanager
async def running(relay: Relay) -> Any:
    stop = asyncio.Event()
    task = asyncio.create_task(relay.run(stop))
    try:
        yield relay
    finally:
        stop.set()
        await task


async def publish(shop: Database, subject: str, *values: str) -> None:
    async with shop.transaction() as connection:
        await events.publish(connection, [(StringValue(value=value), subject) for value in values])


async def effects(books: Database, group: str = "books.all") -> dict[str, list[int]]:
    """The sequence numbers each aggregate's events took effect with, in order of effect."""
    rows = await books.fetch('SELECT subject, sequence FROM effect WHERE "group" = $1 ORDER BY number', group)
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["subject"], []).append(row["sequence"])
    return found


async def _main(shop_url: str, books_url: str, lease: str = "1") -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Database(shop_url, size=3) as shop, Database(books_url, size=6) as books:
        relay = relay_for(shop, bookkeeper(books), lease_seconds=float(lease), poll_seconds=0.1)
        print("up", flush=True)  # noqa: T201 - read by the test
        await relay.run(stop)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main(*sys.argv[1:]))
