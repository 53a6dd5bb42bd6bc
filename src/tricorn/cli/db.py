"""`tricorn db`."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import Annotated, Any

import typer

from tricorn.cli.application import HomeOption, database, home_of, manifest
from tricorn.supervise.errors import SuperviseError

app = typer.Typer(no_args_is_help=True)

_SIZES = """
    select n.nspname as schema, count(*) filter (where c.relkind in ('r', 'p')) as tables,
        coalesce(sum(pg_total_relation_size(c.oid)) filter (where c.relkind in ('r', 'p')), 0)::bigint as bytes
    from pg_namespace n left join pg_class c on c.relnamespace = n.oid
    where n.nspname not like 'pg\\_%' and n.nspname not in ('information_schema', 'public')
    group by 1 order by 1"""


@app.callback()
def db() -> None:
    """The application's database: the one of DATABASE_URL, else the embedded one in the home (started if need be)."""


@app.command()
def migrate(home: HomeOption = None) -> None:
    """Bring every context's schema to the newest state. Any number of these may run at once; one works."""
    from tricorn.supervise.preparation import prepare_database

    there, application = home_of(home), manifest()
    application.activate()
    with database(there, application):
        done = asyncio.run(prepare_database(application, there.path, demo=False, step=lambda *_: None))
    for schema, table, before, after in done.steps:
        typer.echo(f"{schema:<14} {table:<18} {before or '-'} -> {after}")
    typer.echo("up to date" if not done.steps else "done")


@app.command()
def status(home: HomeOption = None) -> None:
    """Show the server, and each schema with its migration, tables and size."""
    there, application = home_of(home), manifest()
    with database(there, application) as url:
        version, rows = asyncio.run(_look(url))
    typer.echo(f"{version}\n")
    typer.echo(f"{'schema':<14} {'migration':<12} {'tables':>6} {'size':>10}")
    for schema, revision, tables, size in rows:
        typer.echo(f"{schema:<14} {revision or '-':<12} {tables:>6} {size / 1024 / 1024:>7.1f} MB")


async def _look(url: str) -> tuple[str, list[tuple[str, str | None, int, int]]]:
    import asyncpg

    connection: Any = await asyncpg.connect(url, timeout=10)
    try:
        version = await connection.fetchval("select version()")
        rows = []
        for row in await connection.fetch(_SIZES):
            table = f'"{row["schema"]}".alembic_version'
            known = await connection.fetchval("select to_regclass($1) is not null", table)
            revision = await connection.fetchval(f"select max(version_num) from {table}") if known else None
            rows.append((row["schema"], revision, row["tables"], row["bytes"]))
        return version.partition(" on ")[0], rows
    finally:
        await connection.close()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context, home: HomeOption = None) -> None:
    """Open psql as the administrator; further words go to psql, e.g. `-c "select 1"`."""
    import subprocess

    from tricorn.data.binaries import programs

    there, application = home_of(home), manifest()
    program = shutil.which("psql") or str(programs() / "psql")
    with database(there, application) as url:
        raise typer.Exit(subprocess.run([program, url, *context.args], check=False).returncode)


@app.command()
def reset(
    home: HomeOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete the embedded database of this home; the next `up` makes and fills a new one."""
    there = home_of(home)
    if os.environ.get("DATABASE_URL"):
        raise SuperviseError(
            "DATABASE_URL names the database, and that one is not ours to delete", remedy="unset it, or drop it there"
        )
    pid = there.supervisor()
    if pid is not None:
        raise SuperviseError(f"the application runs here (process {pid})", remedy="stop it first with `tricorn down`")
    folder = there.path / "postgres"
    if not folder.exists():
        typer.echo(f"there is no database in {there.path}")
        return
    if not yes:
        typer.confirm(f"Delete all data in {folder}?", abort=True)
    shutil.rmtree(folder)
    typer.echo("deleted")
