"""Durable subscriptions: each event takes effect once per group, because the inbox row and the effect commit
together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import Connection, Database
from tricorn.events.event import EventMeta, StoredEvent
from tricorn.events.work import Wake, Work, nobody
from tricorn.failpoints import failpoint
from tricorn.telemetry import continue_trace, get_logger, span
from tricorn.wire import call_scope

R = TypeVar("R")
Handler = Callable[[Any, EventMeta, Work[R]], Awaitable[None]]
HandlerOfMany = Callable[[Sequence[tuple[Any, EventMeta]], Work[R]], Awaitable[None]]
Reset = Callable[[Work[R]], Awaitable[None]]

BATCH = 64
HANDLER_SECONDS = 25.0
BEHIND = "behind an event of the same aggregate that failed"

_log = get_logger("tricorn.events")

_TAKE = """
WITH fresh AS (
    INSERT INTO inbox ("group", event_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING RETURNING event_id
)
SELECT ARRAY(SELECT event_id::text FROM fresh) AS fresh,
    EXISTS (SELECT FROM inbox_rebuild WHERE "group" = $1 AND token IS DISTINCT FROM $3::uuid) AS rebuilding
"""


@dataclass(slots=True)
class Subscription(Generic[R]):
    """A group of handlers in one context, at most one for each type of event.

    Args:
        group: Its name, for ever: it keys the inbox. By convention ``context.purpose``.
        database: The subscribing context's.
        repository_class: What handlers find in ``work.repository``.
        poke: Wakes the subscribing context's relay when a handler published.
        reset: Empties the read model, in the transaction with which a rebuild begins.
        batch: The most events handled in one transaction. 1 for handlers that call other contexts: a failure of one
            event of a batch rolls the others back and runs them again one by one.
        contracts: Those of the subscribing context, in their order: the group moves with them; see `tricorn.events.moved`.
    """

    group: str
    database: Database
    repository_class: Callable[[Connection], R]
    poke: Wake = nobody
    reset: Reset[R] | None = None
    batch: int = BATCH
    contracts: Sequence[str] = ()
    handlers: dict[str, tuple[type[Message], Handler[R] | None, HandlerOfMany[R] | None]] = field(default_factory=dict)
    # Batches of a group follow each other in this process: two at once would lock the rows of their effects in two orders.
    _batches: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def on(self, event_class: type[Message], handler: Handler[R]) -> None:
        """Adds a handler.

        Raises:
            ValueError: The group handles this type already.
        """
        self._add(event_class, handler, None)

    def on_many(self, event_class: type[Message], handler: HandlerOfMany[R]) -> None:
        """Adds a handler of all events of the type that follow each other in a batch, for whoever has one statement for many.

        It publishes nothing and calls nobody: it is no part of one event's trace.

        Raises:
            ValueError: The group handles this type already.
        """
        self._add(event_class, None, handler)

    def _add(self, event_class: type[Message], handler: Handler[R] | None, of_many: HandlerOfMany[R] | None) -> None:
        name = event_class.DESCRIPTOR.full_name
        if name in self.handlers:
            message = f"group {self.group!r} has two handlers for {name}"
            raise ValueError(message)
        self.handlers[name] = (event_class, handler, of_many)

    async def deliver(self, events: Sequence[StoredEvent], *, token: str | None = None) -> list[str]:
        """Takes events in order; for each an empty text when its effect is committed (now or before), else what went
        wrong.

        After a failure the later events of the same aggregate are left alone. `token` is that of the rebuild under
        which this happens.

        Raises:
            Refusal: Nothing can be handled now (no database, the group is being rebuilt); says nothing about the
                events.
        """
        outcomes: list[str] = []
        failed: dict[str, str] = {}
        for start in range(0, len(events), self.batch):
            chunk = events[start : start + self.batch]
            if len(chunk) > 1 and not failed and await self._together(chunk, token):
                outcomes.extend("" for _ in chunk)
            else:
                outcomes.extend(await self._one_by_one(chunk, token, failed))
        return outcomes

    async def _together(self, chunk: Sequence[StoredEvent], token: str | None) -> bool:
        """Handles a batch in one transaction; False when that failed and nothing of it took effect."""
        try:
            async with self._batches:
                await self._handle(chunk, token)
        except _NotNowError as error:
            raise error.refusal from error
        except Exception:  # noqa: BLE001 - which event it was shows when they are handled one by one
            return False
        return True

    async def _one_by_one(self, chunk: Sequence[StoredEvent], token: str | None, failed: dict[str, str]) -> list[str]:
        outcomes = []
        for event in chunk:
            subject = event.meta.subject
            if subject in failed:
                outcomes.append(BEHIND)
                continue
            outcome = ""
            try:
                await self._handle([event], token)
            except _NotNowError as error:
                raise error.refusal from error
            except Exception as error:  # noqa: BLE001 - the relay decides what becomes of the event
                failed[subject] = outcome = _describe(error)
                _log.warning(
                    "event not handled", group=self.group, event_id=event.meta.id, type=event.meta.type, error=outcome
                )
            outcomes.append(outcome)
        return outcomes

    async def _handle(self, events: Sequence[StoredEvent], token: str | None) -> None:
        taken = False
        try:
            async with asyncio.timeout(HANDLER_SECONDS), self.database.transaction() as connection:
                fresh = await self._take(connection, events, token)
                taken = True
                await failpoint("events.taken")
                work = Work(self.repository_class(connection), connection)
                # By id: a relay that lost sight of an event for a moment may have it twice in a delivery.
                news = {event.meta.id: event for event in events if event.meta.id in fresh}
                for name, run in groupby(news.values(), lambda event: event.meta.type):
                    await self._call(name, list(run), work)
                await failpoint("events.handled")
        except Refusal as refusal:
            if taken:
                raise
            raise _NotNowError(refusal) from refusal
        if work.published:
            self.poke(work.published)

    async def _take(self, connection: Connection, events: Sequence[StoredEvent], token: str | None) -> set[str]:
        """Puts events into the inbox; the ids of those that were not there."""
        row = await connection.fetchrow(_TAKE, self.group, [event.meta.id for event in events], token)
        assert row is not None  # noqa: S101 - a SELECT without FROM answers one row
        if row["rebuilding"]:
            raise Refusal(PlatformReason.UNAVAILABLE, f"group {self.group!r} is being rebuilt")
        return set(row["fresh"])

    async def _call(self, name: str, events: Sequence[StoredEvent], work: Work[R]) -> None:
        event_class, handler, of_many = self.handlers[name]
        if of_many is not None:
            with ExitStack() as stack:
                for event in events:
                    stack.enter_context(self._span(event))
                await of_many([(event_class.FromString(event.data), event.meta) for event in events], work)
            if work.has_unwritten:
                message = f"group {self.group!r}: a handler of many publishes nothing"
                raise RuntimeError(message)
        elif handler is not None:
            for event in events:
                with self._span(event), call_scope(timeout=HANDLER_SECONDS, causation=event.meta.id):
                    await handler(event_class.FromString(event.data), event.meta, work)
                    await work.flush()

    @contextmanager
    def _span(self, event: StoredEvent) -> Iterator[None]:
        name = f"{self.group} {event.meta.type}"
        with continue_trace(event.traceparent or None), span(name, kind="consumer", event=event.meta.id):
            yield


class _NotNowError(Exception):
    """The refusal came before any handler ran: it is nobody's fault."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def _describe(error: Exception) -> str:
    """What it says, as text that PostgreSQL and protobuf take: else a dead letter could not be written, and all would wait for it."""
    said = f"{error.reason}: {error.detail}" if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    return said.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
