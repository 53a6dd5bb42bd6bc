"""All contexts' migrations, in one go, under one lock; nothing at all when there is nothing to do."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from tricorn.data.connecting import connect_admin
from tricorn.data.errors import DataError
from tricorn.data.names import RoleNames
from tricorn.data.revisions import ContextMigrations, RevisionFiles
from tricorn.data.roles import (
    ensure_grants,
    ensure_roles,
    ensure_schemas,
    ensure_views,
    quote,
    role_settings,
    viewer_settings,
)
from tricorn.data.server import Server

_LOCK = 0x7472_6963_6F72_6E01  # "tricorn", 1: one migrator on a database at a time
_LOCK_SECONDS = 600
_OLDEST_SERVER = 16  # who may create roles may also grant them
_PLATFORM = "tricorn"
_LAYOUT = 1  # raise it when roles, schemas or grants change in this package


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a run did: `(schema, version table, from, to)` for each set that moved; empty when all was up to date."""

    steps: tuple[tuple[str, str, str | None, str], ...] = ()
    up_to_date: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    server: Server
    database: str
    names: RoleNames
    contexts: tuple[ContextMigrations, ...]
    folders: Mapping[str, Mapping[str, RevisionFiles]]

    @property
    def context_names(self) -> list[str]:
        return [context.name for context in self.contexts]

    @property
    def viewers(self) -> dict[str, list[str]]:
        """The contexts whose published views each viewer may read."""
        names = sorted({viewer for context in self.contexts for viewer in context.viewers})
        return {name: [context.name for context in self.contexts if name in context.viewers] for name in names}

    def fingerprint(self) -> str:
        """Changes whenever there is something to do."""
        content = {
            "layout": _LAYOUT,
            "prefix": self.names.prefix,
            "secret": self.server.password(self.names.readers),
            "contexts": {
                context.name: {
                    "settings": role_settings(context.name),
                    "heads": {table: files.head for table, files in self.folders[context.name].items()},
                    "tool": context.tool.fingerprint if context.tool else None,
                    "extensions": context.extensions,
                }
                for context in self.contexts
            },
            "viewers": {name: {"reads": reads, "settings": viewer_settings()} for name, reads in self.viewers.items()},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


async def migrate(server: Server, database: str, contexts: Sequence[ContextMigrations], *, prefix: str) -> Migrated:
    """Bring `database` (which exists) to the newest state: roles, schemas, tables, grants.

    Any number of processes may call it at once: one works, the others wait and find nothing left to do. When nothing
    changed since the last run it costs one connection and one query. Each revision is a transaction; after a failure
    the next run goes on where this one stopped.

    Args:
        server: where the database is.
        database: its name.
        contexts: all contexts of the application.
        prefix: of the roles' names, the same for every database of the application on this server.

    Raises:
        DataError: the database is newer than this program, or a migration fails.
    """
    folders = {context.name: context.folders() for context in contexts}
    job = _Job(server, database, RoleNames(prefix), tuple(contexts), folders)
    fingerprint = job.fingerprint()
    admin = await connect_admin(server, database)
    try:
        if await _is_current(admin, job, fingerprint):
            return Migrated(up_to_date=True)
        await _lock(admin, database)
        if await _is_current(admin, job, fingerprint):
            return Migrated(up_to_date=True)
        _refuse_old_server(admin.get_server_version().major)
        versions = await _versions(admin, job)
        _refuse_newer(job, versions)
        await ensure_roles(admin, job.names, job.context_names, server.password, job.viewers)
        extensions = sorted({name for context in contexts for name in context.extensions})
        await ensure_schemas(admin, job.names, job.context_names, extensions)
        steps = await asyncio.to_thread(_run_all, job, versions)
        await ensure_views(admin, job.names, job.context_names, job.viewers)
        await ensure_grants(admin, job.names, {name: list(tables) for name, tables in folders.items()})
        await _remember(admin, fingerprint)
        return Migrated(tuple(steps))
    finally:
        await admin.close()


async def _lock(admin: Any, database: str) -> None:
    try:
        await admin.execute("select pg_advisory_lock($1)", _LOCK, timeout=_LOCK_SECONDS)
    except TimeoutError as error:
        raise DataError(
            f"another process has been migrating for more than {_LOCK_SECONDS} s",
            where=f"database {database!r}",
            remedy="wait for it, or end its session (pg_locks shows it, locktype advisory)",
        ) from error


async def _is_current(admin: Any, job: _Job, fingerprint: str) -> bool:
    """Whether the last run left exactly this state; the roles are counted because a restored copy lacks them."""
    roles = [role(name) for name in job.context_names for role in (job.names.owner, job.names.runtime)]
    roles += [job.names.viewer(name) for name in job.viewers]
    try:
        row = await admin.fetchrow(
            f"select (select value from {_PLATFORM}.state where key = 'migrations') as fingerprint,"
            " (select count(*) from pg_roles where rolname = any($1::text[])) as roles",
            roles,
        )
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return False
    return bool(row["fingerprint"] == fingerprint and row["roles"] == len(roles))


async def _remember(admin: Any, fingerprint: str) -> None:
    await admin.execute(f"create schema if not exists {_PLATFORM}")
    await admin.execute(f"create table if not exists {_PLATFORM}.state (key text primary key, value text not null)")
    await admin.execute(
        f"insert into {_PLATFORM}.state values ('migrations', $1)"
        " on conflict (key) do update set value = excluded.value",
        fingerprint,
    )


async def _versions(admin: Any, job: _Job) -> dict[tuple[str, str], str | None]:
    found: dict[tuple[str, str], str | None] = {}
    for schema, folders in job.folders.items():
        for table in folders:
            name = f"{quote(schema)}.{quote(table)}"
            exists = await admin.fetchval("select to_regclass($1) is not null", name)
            found[schema, table] = await admin.fetchval(f"select max(version_num) from {name}") if exists else None
    return found


def _refuse_old_server(major: int) -> None:
    if major < _OLDEST_SERVER:
        raise DataError(
            f"the server is PostgreSQL {major}, and {_OLDEST_SERVER} is the oldest that will do",
            where="the server that DATABASE_URL names",
            remedy="use a newer server, or leave DATABASE_URL out to use the embedded one",
        )


def _refuse_newer(job: _Job, versions: Mapping[tuple[str, str], str | None]) -> None:
    for (schema, table), version in versions.items():
        files = job.folders[schema][table]
        if version is not None and version not in files.revisions:
            raise DataError(
                f"the database is newer than this program: its schema {schema!r} is at revision {version!r}, "
                f"and the newest known here is {files.head!r}",
                where=f"database {job.database!r}, table {schema}.{table}; {files.path}",
                remedy="run the program that made it or a newer one; nothing was changed",
            )


def _run_all(job: _Job, versions: Mapping[tuple[str, str], str | None]) -> list[tuple[str, str, str | None, str]]:
    steps: list[tuple[str, str, str | None, str]] = []
    for context in job.contexts:
        url = job.server.url(job.database, job.names.owner(context.name))
        for table, files in job.folders[context.name].items():
            before = versions[context.name, table]
            if files.head is None or before == files.head:
                continue
            from tricorn.data.alembic_runner import upgrade  # noqa: PLC0415 - a quarter of a second, seldom needed

            upgrade(url, schema=context.name, table=table, path=files.path)
            steps.append((context.name, table, before, files.head))
        if context.tool is not None:
            context.tool.run(url, context.name)
    return steps
