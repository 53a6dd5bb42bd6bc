"""Making a group's read model anew from the log."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from tricorn.data import Database
from tricorn.events.event import StoredEvent
from tricorn.events.inbox import Subscription
from tricorn.events.log import clean_cut, read_log
from tricorn.events.poke import REDRIVE, channel_of
from tricorn.events.work import Work
from tricorn.failpoints import failpoint
from tricorn.telemetry import get_logger

CHUNK = 100

_log = get_logger("tricorn.events")

# The lock waits for deliveries to this context that are under way, and those that come after it see the row.
_BEGIN = (
    "LOCK TABLE inbox IN SHARE ROW EXCLUSIVE MODE",
    """
    INSERT INTO inbox_rebuild ("group", token) VALUES ($1, $2::uuid)
    ON CONFLICT ("group") DO UPDATE SET token = excluded.token, started_at = clock_timestamp()
    """,
)
_DROPPED = """SELECT position FROM dead_letter WHERE "group" = $1 AND state = 'dropped'"""
_PARK = """
INSERT INTO dead_letter ("group", position, event_id, subject, partition, state, attempts, error)
VALUES ($1, $2, $3::uuid, $4, $5, 'parked', 1, $6) ON CONFLICT ("group", position) DO UPDATE SET error = excluded.error
"""
_FLAG = """UPDATE dead_letter SET redrive = true WHERE "group" = $1"""


class RebuildError(Exception):
    """An event failed. It is a dead letter now, and live deliveries to the group wait until a rebuild ends well."""

    def __init__(self, group: str, event: StoredEvent, error: str) -> None:
        meta = event.meta
        super().__init__(
            f"group {group!r} was not rebuilt: {meta.type} {meta.id} of {meta.subject!r} failed: {error}\n"
            "  what to do: mend the handler, or drop this event for the group, then rebuild again"
        )
        self.event = event


async def rebuild(
    subscription: Subscription[Any], sources: Mapping[str, Database], progress: Callable[[int], None] | None = None
) -> int:
    """Empties the group's read model and inbox and replays the log to it, in order; how many events took effect.

    Live deliveries to the group wait meanwhile. Events that were dropped for the group are left out; its other dead
    letters are in the log like all events, and are cleared by the relay afterwards.

    Args:
        subscription: With a `reset`.
        sources: The databases of the contexts that publish what the group subscribes to, by name.
        progress: Called with the number of events replayed so far.

    Raises:
        RebuildError: A handler failed.
        ValueError: The subscription has no `reset`.
    """
    if subscription.reset is None:
        message = f"group {subscription.group!r} cannot be rebuilt: its subscription has no reset"
        raise ValueError(message)
    token = str(uuid.uuid4())
    group = subscription.group
    async with subscription.database.transaction() as connection:
        await connection.execute(_BEGIN[0])
        await connection.execute(_BEGIN[1], group, token)
        await connection.execute('DELETE FROM inbox WHERE "group" = $1', group)
        await subscription.reset(Work(subscription.repository_class(connection), connection))
    handled = 0
    for source, database in sources.items():
        cut = await clean_cut(database)
        dropped = {row["position"] for row in await database.fetch(_DROPPED, group)}
        async for chunk in _chunks(read_log(database, source, subscription.handlers, until=cut), dropped):
            await failpoint("events.rebuilding")
            outcomes = await subscription.deliver(chunk, token=token)
            for event, error in zip(chunk, outcomes, strict=True):
                if error:
                    meta = event.meta
                    values = (event.position, meta.id, meta.subject, event.partition, error)
                    await database.execute(_PARK, group, *values)
                    raise RebuildError(group, event, error)
            handled += len(chunk)
            if progress is not None:
                progress(handled)
    for source, database in sources.items():
        await database.execute(_FLAG, group)
        await database.execute("SELECT pg_notify($1, $2)", channel_of(source), REDRIVE)
    await subscription.database.execute(
        'DELETE FROM inbox_rebuild WHERE "group" = $1 AND token = $2::uuid', group, token
    )
    _log.info("group rebuilt", group=group, handled=handled)
    return handled


async def _chunks(events: AsyncIterator[StoredEvent], left_out: set[int]) -> AsyncIterator[list[StoredEvent]]:
    chunk: list[StoredEvent] = []
    async for event in events:
        if event.position not in left_out:
            chunk.append(event)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
