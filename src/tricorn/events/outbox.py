"""Writing events: one statement in the business transaction takes the aggregate's next sequence number and logs the
event.

The row of `aggregate_sequence` stays locked until the transaction ends, so that the numbers of an aggregate have no
gaps and its events become visible in their order. Publish last in a transaction: what comes after it makes others
wait who publish for the same aggregate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

from google.protobuf.message import Message

from tricorn.data import Connection, Database, Record, Together, asked, uuid7
from tricorn.events.partition import partition_of
from tricorn.telemetry import traceparent
from tricorn.wire import current_call

_ONE = """
WITH sequenced AS (
    INSERT INTO {schema}aggregate_sequence AS a (subject, last) VALUES ({subject}::text, 1)
    ON CONFLICT (subject) DO UPDATE SET last = a.last + 1
    RETURNING a.subject, a.last
), logged AS (
    INSERT INTO {schema}outbox (subject, sequence, id, type, partition, data, traceparent, causation)
    SELECT subject, last, {id}::uuid, {type}::text, {partition}::smallint, {data}::bytea,
        {traceparent}::text, {causation}::text
    FROM sequenced
    RETURNING position, partition
)
INSERT INTO {schema}outbox_pending (position, partition) SELECT position, partition FROM logged
"""

# Sequences are taken in order of subject, so that two transactions with the same aggregates cannot deadlock.
_MANY = """
WITH given AS (
    SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::smallint[], $5::bytea[])
    WITH ORDINALITY AS g (subject, id, type, partition, data, number)
), sequenced AS (
    INSERT INTO aggregate_sequence AS a (subject, last)
    SELECT subject, count(*) FROM given GROUP BY subject ORDER BY subject
    ON CONFLICT (subject) DO UPDATE SET last = a.last + excluded.last
    RETURNING a.subject, a.last
), logged AS (
    INSERT INTO outbox (subject, sequence, id, type, partition, data, traceparent, causation)
    SELECT g.subject,
        s.last - count(*) OVER (PARTITION BY g.subject) + row_number() OVER (PARTITION BY g.subject ORDER BY g.number),
        g.id, g.type, g.partition, g.data, $6::text, $7::text
    FROM given g JOIN sequenced s USING (subject) ORDER BY g.number
    RETURNING position, partition
)
INSERT INTO outbox_pending (position, partition) SELECT position, partition FROM logged
"""

# The change is made once however often its rows are read, and what announces it reads them: nothing changed, nothing
# is announced.
_WITH_CHANGE = """
WITH asked AS (SELECT * FROM {asked}), changed AS ({change}), sequenced AS (
    INSERT INTO aggregate_sequence AS a (subject, last)
    SELECT asked.event_subject, 1 FROM asked JOIN changed USING (n) ORDER BY asked.event_subject
    ON CONFLICT (subject) DO UPDATE SET last = a.last + 1
    RETURNING a.subject, a.last
), logged AS (
    INSERT INTO outbox (subject, sequence, id, type, partition, data, traceparent, causation)
    SELECT sequenced.subject, sequenced.last, asked.event_id, asked.event_type, asked.event_partition, asked.event_data,
        asked.event_traceparent, asked.event_causation
    FROM asked JOIN changed USING (n) JOIN sequenced ON sequenced.subject = asked.event_subject
    RETURNING position, partition
), pending AS (
    INSERT INTO outbox_pending (position, partition) SELECT position, partition FROM logged
)
SELECT * FROM changed
"""
_ASKED = """event_subject text, event_id uuid, event_type text, event_partition smallint, event_data bytea,
    event_traceparent text, event_causation text"""

_COLUMNS = ("subject", "id", "type", "partition", "data", "traceparent", "causation")
_ONE_ASYNCPG = _ONE.format(schema="", **{name: f"${number}" for number, name in enumerate(_COLUMNS, 1)})


class Cursor(Protocol):
    """A cursor of the Python database API whose parameters are written ``%(name)s``: psycopg's and Django's."""

    def execute(self, query: Any, params: Any = None, /) -> Any: ...


async def publish(
    connection: Connection, events: Sequence[tuple[Message, str]], *, causation: str | None = None
) -> None:
    """Writes events, each with its subject (the id of its aggregate), in one round trip; they exist when the
    transaction commits.

    Args:
        connection: The transaction of the business change, in the publishing context's schema.
        events: Events of one aggregate get their sequence numbers in the order given.
        causation: The id of the event, or the key of the call, behind this; by default that of the call being served.
    """
    if not events:
        return
    cause = _current_causation() if causation is None else causation
    if len(events) == 1:
        ((event, subject),) = events
        await connection.execute(_ONE_ASYNCPG, *_row(event, subject), traceparent(), cause)
        return
    columns = zip(*(_row(event, subject) for event, subject in events), strict=True)
    await connection.execute(_MANY, *map(list, columns), traceparent(), cause)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one row, to be announced. Those with the same subject never share a statement; those that do must not be of the same row.

    Args:
        columns: Its arguments' names and types, as for `tricorn.data.asked`.
        statement: An UPDATE or DELETE with RETURNING that reads the relation ``asked``, of which each row is somebody's change and
            changes at most one row; what it returns first is ``asked.n``.
    """

    columns: str
    statement: str


class Announcing:
    """A change and its event in one statement, and so in one round trip and one transaction: at most one, since
    changes that come together share it (see `tricorn.data.Together`).
    """

    def __init__(self, database: Database, change: Change) -> None:
        statement = _WITH_CHANGE.format(asked=asked(f"{change.columns}, {_ASKED}"), change=change.statement)
        self._run = Together(database, statement, key=itemgetter(-len(_COLUMNS)))

    async def __call__(self, *args: Any, event: Message, subject: str) -> Record | None:
        """Makes the change, and writes ``event`` of the aggregate ``subject`` if it found its row.

        Returns:
            What the change returned; None when it found no row.
        """
        return await self._run(*args, *_row(event, subject), traceparent(), _current_causation())


def publish_sync(
    cursor: Cursor, event: Message, *, subject: str, schema: str = "", causation: str | None = None
) -> None:
    """Like `publish`, for a cursor inside the transaction of a synchronous driver.

    Wake the relay after the commit with `Poke.from_thread` (in Django: `transaction.on_commit(poke.from_thread)`).

    Args:
        cursor: psycopg's or Django's.
        event: The message.
        subject: The id of its aggregate.
        schema: Of the publishing context, where it is not on the connection's search path.
        causation: As for `publish`.
    """
    statement = _ONE.format(schema=f'"{schema}".' if schema else "", **{name: f"%({name})s" for name in _COLUMNS})
    cause = _current_causation() if causation is None else causation
    values = (*_row(event, subject), traceparent(), cause)
    cursor.execute(statement, dict(zip(_COLUMNS, values, strict=True)))


def _row(event: Message, subject: str) -> tuple[str, str, str, int, bytes]:
    if not subject:
        message = f"{event.DESCRIPTOR.full_name}: an event needs a subject, the id of its aggregate"
        raise ValueError(message)
    return subject, uuid7(), event.DESCRIPTOR.full_name, partition_of(subject), event.SerializeToString()


def _current_causation() -> str:
    call = current_call()
    return call.causation if call is not None else ""
