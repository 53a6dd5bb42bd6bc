"""The log: every event of a context since it was last pruned.

It is one table, keyed by position and indexed by type; partitions of PostgreSQL would need someone to create the next
one in time, and would forbid the unique index on subject and sequence. Pruning deletes the oldest events in batches.
"""

from collections.abc import AsyncIterator, Collection, Sequence

from tricorn.data import Database
from tricorn.events.event import COLUMNS, StoredEvent

BATCH = 500
UNDER_WAY_SECONDS = 3600.0
"""For so long a delivery may still be on its way to a group that has taken the event: from a process that was stopped, say."""

_READ = f"""
SELECT {COLUMNS} FROM outbox o WHERE o.position > $1 AND o.position <= $4 AND o.type = ANY($2::text[])
ORDER BY o.position LIMIT $3
"""
_TAIL = f"""
SELECT * FROM (SELECT {COLUMNS} FROM outbox o WHERE ($1::text IS NULL OR o.subject = $1)
    AND ($2::text IS NULL OR o.type = $2) ORDER BY o.position DESC LIMIT $3) AS o ORDER BY o.position
"""
_OLD = """
SELECT o.position, o.id::text AS id, o.time < clock_timestamp() - make_interval(secs => $3) AS settled
FROM outbox o WHERE o.time < clock_timestamp() - make_interval(secs => $1)
AND NOT EXISTS (SELECT FROM outbox_pending p WHERE p.position = o.position)
AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.position = o.position AND d.state <> 'dropped')
ORDER BY o.position LIMIT $2
"""
# The inbox is keyed by group first: its groups are found one after another, without reading all of it.
_FORGET = """
WITH RECURSIVE groups (name) AS (
    (SELECT "group" FROM inbox ORDER BY "group" LIMIT 1)
    UNION ALL
    SELECT (SELECT "group" FROM inbox WHERE "group" > name ORDER BY "group" LIMIT 1) FROM groups WHERE name IS NOT NULL
)
DELETE FROM inbox USING groups WHERE "group" = name AND event_id = ANY($1::uuid[])
"""
_PRUNE = "DELETE FROM outbox WHERE position = ANY($1::bigint[])"


async def clean_cut(database: Database) -> int:
    """A position up to which every event is committed or will never exist. Waits for the publishers at work.

    Without it a reader could see an aggregate's later event after having passed the place of an earlier one, which was
    not committed yet.
    """
    async with database.transaction() as connection:
        await connection.execute("LOCK TABLE outbox IN SHARE MODE")
        return int(await connection.fetchval("SELECT coalesce(max(position), 0) FROM outbox"))


async def read_log(
    database: Database, source: str, types: Collection[str], *, until: int
) -> AsyncIterator[StoredEvent]:
    """The events of these types up to a clean cut, in order of position, which is the order within each aggregate."""
    position = 0
    while rows := await database.fetch(_READ, position, list(types), BATCH, until):
        for row in rows:
            yield StoredEvent.from_row(row, source)
        position = rows[-1]["position"]


async def read_latest(
    database: Database, source: str, *, subject: str | None = None, event_type: str | None = None, limit: int = 50
) -> list[StoredEvent]:
    """The latest events, oldest first."""
    return [StoredEvent.from_row(row, source) for row in await database.fetch(_TAIL, subject, event_type, limit)]


async def prune_log(database: Database, *, older_than_seconds: float, inboxes: Sequence[Database] = ()) -> int:
    """Deletes what is older and no longer needed for a delivery; how many events. Sequences go on where they were.

    What is gone cannot be rebuilt from: keep at least as much as the longest-lived read model needs. Nor can it be delivered
    again: the subscribers' `inboxes` forget it, unless it is so young that a delivery may be under way.
    """
    pruned = 0
    while rows := await database.fetch(_OLD, older_than_seconds, BATCH, UNDER_WAY_SECONDS):
        # The inboxes first: who is stopped in between finds the rest of it in the log.
        settled = [row["id"] for row in rows if row["settled"]]
        for inbox in inboxes if settled else ():
            await inbox.execute(_FORGET, settled)
        await database.execute(_PRUNE, [row["position"] for row in rows])
        pruned += len(rows)
    return pruned
