"""What could not be delivered: look at it, deliver it again, or give it up.

A group's dead letters of one aggregate belong together: the first is *parked*, it failed; those behind it are
*waiting*. To redrive marks them; the relay that holds their partition then delivers them in order, the parked one
first, and new events of the aggregate go behind them. What fails again is parked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tricorn.data import Database
from tricorn.events.poke import REDRIVE, channel_of

State = Literal["parked", "waiting", "dropped"]

_LIST = """
SELECT d."group", d.event_id::text AS event_id, o.type, d.subject, o.sequence, d.state, d.attempts, d.error, d.redrive,
    d.created_at, d.changed_at
FROM dead_letter d JOIN outbox o USING (position)
WHERE ($1::text IS NULL OR d."group" = $1) AND (d.state <> 'dropped' OR $2) ORDER BY d."group", d.position LIMIT $3
"""
_FLAG = """
UPDATE dead_letter d SET redrive = true, changed_at = clock_timestamp()
WHERE d.state <> 'dropped' AND ($1::text IS NULL OR d."group" = $1) AND ($2::uuid IS NULL OR EXISTS (
    SELECT FROM dead_letter chosen WHERE chosen.event_id = $2 AND chosen."group" = d."group"
    AND chosen.subject = d.subject AND chosen.state <> 'dropped'
))
"""
_DROP = """
WITH dropped AS (
    UPDATE dead_letter SET state = 'dropped', error = $3, redrive = true, changed_at = clock_timestamp()
    WHERE "group" = $1 AND event_id = $2::uuid AND state <> 'dropped' RETURNING "group", subject, position
), behind AS (
    UPDATE dead_letter d SET redrive = true FROM dropped g
    WHERE d."group" = g."group" AND d.subject = g.subject AND d.position <> g.position AND d.state <> 'dropped'
    AND NOT EXISTS (SELECT FROM dead_letter other WHERE other."group" = g."group" AND other.subject = g.subject
        AND other.state = 'parked' AND other.position <> g.position)
)
SELECT count(*) FROM dropped
"""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """`error` is what the last attempt said, or why it was dropped. `redrive`: it is about to be delivered again."""

    group: str
    event_id: str
    type: str
    subject: str
    sequence: int
    state: State
    attempts: int
    error: str
    redrive: bool
    created_at: datetime
    changed_at: datetime


async def list_dead_letters(
    database: Database, *, group: str | None = None, dropped: bool = False, limit: int = 1000
) -> Sequence[DeadLetter]:
    """The dead letters of a publishing context, by group and in order; those that were dropped only when asked for."""
    return [DeadLetter(**row) for row in await database.fetch(_LIST, group, dropped, limit)]


async def redrive(database: Database, source: str, *, group: str | None = None, event_id: str | None = None) -> int:
    """Has dead letters delivered again, with all that waits behind them; how many.

    Args:
        database: The publishing context's.
        source: Its name.
        group: Only this group's.
        event_id: Only the aggregate of this event.
    """
    status = await database.execute(_FLAG, group, event_id)
    await database.execute("SELECT pg_notify($1, $2)", channel_of(source), REDRIVE)
    return int(status.rpartition(" ")[2])


async def drop(database: Database, source: str, *, group: str, event_id: str, reason: str) -> bool:
    """Gives one up for its group, for good; what waited only for it is delivered. False when there is no such letter.

    The row stays, with the reason: who looks later can see what the group never got.
    """
    if not reason.strip():
        raise ValueError("say why the event is given up")
    dropped = await database.fetchval(_DROP, group, event_id, f"dropped: {reason.strip()}")
    await database.execute("SELECT pg_notify($1, $2)", channel_of(source), REDRIVE)
    return bool(dropped)
