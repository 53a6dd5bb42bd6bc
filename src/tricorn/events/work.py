"""A unit of work: what changes and what is announced commit together, or neither does."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from tricorn.data import Connection, Database, Record
from tricorn.events import outbox

R = TypeVar("R")


class Work(Generic[R]):
    """One transaction: the context's repository on it, and the way to its outbox."""

    __slots__ = ("_events", "connection", "published", "repository")

    def __init__(self, repository: R, connection: Connection) -> None:
        self.repository = repository
        self.connection = connection
        self.published: set[str] = set()
        self._events: list[tuple[Message, str]] = []

    async def publish(self, event: Message, *, subject: str) -> None:
        """Announces `event` of the aggregate `subject` if, and as soon as, this work commits.

        All events of a work are written together, right before it commits: one round trip, and the lock on the
        aggregate's counter is short. The message must not be changed afterwards.
        """
        if not subject:
            message = f"{event.DESCRIPTOR.full_name}: an event needs a subject, the id of its aggregate"
            raise ValueError(message)
        self._events.append((event, subject))

    @property
    def has_unwritten(self) -> bool:
        """Whether something was announced since the last `flush`."""
        return bool(self._events)

    async def flush(self) -> None:
        """Writes what was announced so far; whoever opened the work calls this before the commit."""
        if self._events:
            events, self._events = self._events, []
            self.published.update(event.DESCRIPTOR.full_name for event, _ in events)
            await outbox.publish(self.connection, events)


class Announce(Protocol):
    """Makes a change of one row and announces it, both or neither, in one statement; see `outbox.Announcing`."""

    async def __call__(self, change: outbox.Change, *args: Any, event: Message, subject: str) -> Record | None: ...


Begin = Callable[[], AbstractAsyncContextManager[Work[R]]]
"""Opens a unit of work: ``async with begin() as work``. It commits when the block ends and rolls back when it
raises.
"""


Wake = Callable[[Collection[str]], Any]
"""Wakes whoever waits for events of some types (full names of messages)."""


def nobody(types: Collection[str]) -> None:
    """There is nobody to wake."""
    del types


def begin_factory(database: Database, repository_class: Callable[[Connection], R], poke: Wake = nobody) -> Begin[R]:
    """How a context begins its works.

    Args:
        database: The context's own.
        repository_class: Built anew for each work.
        poke: Called after a commit that announced something: wakes the relay.
    """

    @asynccontextmanager
    async def begin() -> AsyncIterator[Work[R]]:
        async with database.transaction() as connection:
            work = Work(repository_class(connection), connection)
            yield work
            await work.flush()
        if work.published:
            poke(work.published)

    return begin


def announce_factory(database: Database, poke: Wake = nobody) -> Announce:
    """How a context makes changes that need no unit of work of their own, and announces them."""
    announcing: dict[outbox.Change, outbox.Announcing] = {}

    async def announce(change: outbox.Change, *args: Any, event: Message, subject: str) -> Record | None:
        found = announcing.get(change)
        if found is None:
            found = announcing[change] = outbox.Announcing(database, change)
        row = await found(*args, event=event, subject=subject)
        if row is not None:
            poke((event.DESCRIPTOR.full_name,))
        return row

    return announce
