"""Loads the demo shop into an empty database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from agora.seed.plan import Part, make
from tricorn.data import Connection, Database

Progress = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is done, and of how much; a total of zero is unknown."""

CHUNK = 10_000
_LOCK = 0x61_676F_7261  # "agora": one fill of a shop at a time


async def fill(databases: Mapping[str, Database], progress: Progress) -> None:
    """Fills every context, each in one transaction and the catalogue last. A shop that has products is left as it is.

    What was interrupted is taken up where it stopped: a context is either filled or untouched.

    Raises:
        DataMissingError: the films are not installed; nothing was changed.
    """
    if await databases["catalog"].fetchval("SELECT EXISTS (SELECT FROM product)"):
        return
    progress("reading the films", 0, 0)
    today = await databases["catalog"].fetchval("SELECT (now() AT TIME ZONE 'UTC')::date")
    parts = await asyncio.to_thread(make, today)
    total = sum(part.rows for part in parts)
    done = 0
    for part in parts:
        async with databases[part.context].transaction() as connection:
            async for rows in _load(connection, part):
                progress("filling the shop", done + rows, total)
        done += part.rows


async def _load(connection: Connection, part: Part) -> AsyncIterator[int]:
    """Loads what is not there yet; gives the number of rows after each step."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    table, columns, rows = part.tables[0]
    if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table} WHERE {columns[0]} = $1)", rows[0][0]):
        return
    done = 0
    for table, columns, rows in part.tables:
        for start in range(0, len(rows), CHUNK):
            done += await connection.copy_records(table, rows[start : start + CHUNK], columns=columns)
            yield done
