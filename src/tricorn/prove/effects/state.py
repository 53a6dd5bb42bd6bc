"""The rows below a contract: what there is before a sequence, and what is compared after it."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import groupby
from typing import Any, Self

from tricorn.conformance.state import load_state
from tricorn.data import Connection, Database
from tricorn.data.roles import PUBLISHED, quote
from tricorn.prove.effects.application import Rows
from tricorn.prove.effects.hosting import Data

State = tuple[tuple[tuple[str, ...], ...], ...]
"""For each query its rows, as text, in an order that says nothing."""

_TABLES = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1 ORDER BY tablename
"""


class Tables:
    """The tables of a context in one database, as the administrator sees them. An async context manager.

    Those that are empty in a migrated database are emptied between sequences; the others (what was migrated, what every shop has) stay.

    Args:
        emptied: Those, if somebody has looked before; else the database is as it was migrated.
    """

    def __init__(self, data: Data, emptied: Sequence[str] = ()) -> None:
        self._context = data.context
        self._admin = Database(data.admin_url, size=3, name="verify-state")
        self._stack = AsyncExitStack()
        self.emptied = tuple(emptied)

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._admin)
        if not self.emptied:
            tables = [row[0] for row in await self._admin.fetch(_TABLES, self._context)]
            self.emptied = tuple(
                [table for table in tables if not await self._admin.fetchval(f"SELECT EXISTS (SELECT FROM {table})")]
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def published(self) -> list[str]:
        """A query for each view that the context publishes."""
        rows = await self._admin.fetch(
            "SELECT viewname FROM pg_views WHERE schemaname = $1 AND viewowner LIKE $2 ORDER BY viewname",
            PUBLISHED,
            f"%{self._context}_owner",
        )
        return [f"SELECT * FROM {PUBLISHED}.{quote(row[0])}" for row in rows]

    async def put(self, scenes: Iterable[Rows]) -> None:
        """Makes the rows of some scenes all that there is."""
        together: dict[str, list[Any]] = {}
        for rows in scenes:
            for table, each in rows.items():
                together.setdefault(table, []).extend(each)
        async with self._admin.transaction() as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute(";".join(f"DELETE FROM {table}" for table in self.emptied))
            for table, each in together.items():
                await _insert(connection, table, each)

    async def put_case(self, rows: Rows) -> None:
        """The same for a case, whose values may be computed by the database."""
        await self.put([])
        await load_state(self._admin, {table: [dict(row) for row in each] for table, each in rows.items()})

    async def read(self, queries: Sequence[str]) -> State:
        """All of the state at one moment."""
        async with self._admin.transaction(isolation="repeatable read") as connection:
            return tuple(
                [tuple(sorted(tuple(map(str, row)) for row in await connection.fetch(query))) for query in queries]
            )

    async def broken(self, invariants: Sequence[str]) -> list[str]:
        """The invariants that do not hold now, each with a row that shows it."""
        async with self._admin.transaction(isolation="repeatable read") as connection:
            rows = [
                (query, await connection.fetchrow(f"SELECT * FROM ({query}) AS broken LIMIT 1")) for query in invariants
            ]
        return [f"{' '.join(query.split())}: {dict(row)}" for query, row in rows if row is not None]


async def _insert(connection: Connection, table: str, rows: Sequence[Any]) -> None:
    ordered = sorted(rows, key=sorted)
    for columns, each in groupby(ordered, key=lambda row: tuple(sorted(row))):
        names = ", ".join(map(quote, columns))
        await connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM json_populate_recordset(NULL::{table}, $1::json)",
            json.dumps(list(each)),
        )


def renamed(state: State, names: Mapping[str, str]) -> State:
    """The same with other ids: as a whole value of a column."""
    if not names:
        return state
    return tuple(tuple(sorted(tuple(names.get(value, value) for value in row) for row in rows)) for rows in state)


def state_differences(queries: Sequence[str], expected: State, actual: State) -> list[str]:
    """Where two states differ, a line for each row, in words."""
    found = []
    for query, ours, theirs in zip(queries, expected, actual, strict=True):
        one, other = Counter(ours), Counter(theirs)
        what = " ".join(query.split())
        what = what if len(what) <= _LONGEST else f"{what[:_LONGEST]}..."
        found += [f"{what}: missing {row}" for row in (one - other).elements()]
        found += [f"{what}: too much {row}" for row in (other - one).elements()]
    return found


_LONGEST = 90
