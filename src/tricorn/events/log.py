"""The log: every event of a context since it was last pruned.

It is one table, keyed by position and indexed by type; partitions of PostgreSQL would need someone to create the next
one in time, and would forbid the unique index on subject and sequence. Pruning deletes the oldest events in batches.
"""

from collections.abc import AsyncIterator, Collection

from tricorn.data import Database
from tricorn.events.event import COLUMNS, StoredEvent

BATCH = 500

_READ = f"""
SELECT {COLUMNS} FROM outbox o WHERE o.position > $1 AND o.position <= $4 AND o.type = ANY($2::text[])
ORDER BY o.position LIMIT $3
"""
_TAIL = f"""
SELECT * FROM (SELECT {COLUMNS} FROM outbox o WHERE ($1::text IS NULL OR o.subject = $1)
    AND ($2::text IS NULL OR o.type = $2) ORDER BY o.position DESC LIMIT $3) AS o ORDER BY o.position
"""
_PRUNE = """
DELETE FROM outbox WHERE position IN (
    SELECT o.position FROM outbox o WHERE o.time < clock_timestamp() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM outbox_pending p WHERE p.position = o.position)
    AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.position = o.position AND d.state <> 'dropped')
    ORDER BY o.position LIMIT $2
)
"""


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


async def prune_log(database: Database, *, older_than_seconds: float) -> int:
    """Deletes what is older and no longer needed for a delivery; how many events. Sequences go on where they were.

    What is gone cannot be rebuilt from: keep at least as much as the longest-lived read model needs.
    """
    pruned = 0
    while True:
        gone = int((await database.execute(_PRUNE, older_than_seconds, BATCH)).rpartition(" ")[2])
        pruned += gone
        if gone < BATCH:
            return pruned
