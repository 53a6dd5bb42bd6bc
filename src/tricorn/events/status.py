"""How far a context's outbox has got."""

from dataclasses import dataclass

from tricorn.data import Database

_STATUS = """
SELECT (SELECT count(*) FROM outbox_pending) AS pending,
    (SELECT extract(epoch FROM clock_timestamp() - o.time)::float8 FROM outbox_pending p
        JOIN outbox o ON o.position = p.position ORDER BY p.position LIMIT 1) AS lag_seconds,
    (SELECT count(*) FROM dead_letter WHERE state = 'parked') AS parked,
    (SELECT count(*) FROM dead_letter WHERE state = 'waiting') AS waiting
"""


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """`lag_seconds` is the age of the oldest event that is pending; `parked` and `waiting` count dead letters."""

    pending: int
    lag_seconds: float
    parked: int
    waiting: int


async def read_status(database: Database) -> OutboxStatus:
    row = await database.fetchrow(_STATUS)
    assert row is not None  # noqa: S101 - a SELECT without FROM answers one row
    return OutboxStatus(row["pending"], row["lag_seconds"] or 0.0, row["parked"], row["waiting"])
