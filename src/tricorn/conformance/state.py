"""What there is before a case: rows in the tables that it names, files in its contexts' own folders."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tricorn.data import Connection, Database


async def empty_tables(admin: Database, schemas: Iterable[str]) -> list[str]:
    """The tables of some schemas that have no rows."""
    tables = await admin.fetch(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY ($1)", list(schemas)
    )
    return [table for (table,) in tables if not await admin.fetchval(f"SELECT EXISTS (SELECT FROM {table})")]


async def load_state(admin: Database, state: Mapping[str, list[dict[str, Any]]], emptied: Sequence[str] = ()) -> None:
    """Gives the tables that a case names exactly its rows, in the order of the file; ``emptied`` have none otherwise.

    Each value is converted by the database to its column's type.
    """
    async with admin.transaction() as connection:
        # What a case gives is what there is: triggers and foreign keys of other tables stay out of it.
        await connection.execute("SET LOCAL session_replication_role = replica")
        for table in {**dict.fromkeys(emptied), **state}:
            await connection.execute(f"DELETE FROM {table}")
        for table, rows in state.items():
            for row in rows:
                await _insert(connection, table, row)


async def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    computed = {name: value["sql"] for name, value in row.items() if isinstance(value, dict) and "sql" in value}
    given = {name: value for name, value in row.items() if name not in computed}
    columns = ", ".join(f'"{name}"' for name in (*given, *computed))
    values = ", ".join([*(f'r."{name}"' for name in given), *computed.values()])
    await connection.execute(
        f"INSERT INTO {table} ({columns}) SELECT {values} FROM json_populate_record(NULL::{table}, $1::json) r",
        json.dumps(given),
    )


def write_files(home: Path, files: Mapping[str, bytes]) -> None:
    """Puts a case's files, named ``context/path``, where a process with that home finds them as its contexts' own."""
    for name, content in files.items():
        path = home / "contexts" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
        path.chmod(0o600)
