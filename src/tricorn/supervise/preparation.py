"""What happens to the database before the processes use it: it is made, migrated, and filled if it is empty."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tricorn.data.connecting import connect_admin
from tricorn.data.databases import ensure_database
from tricorn.data.migrations import migrate
from tricorn.data.names import RoleNames
from tricorn.data.server import server_for
from tricorn.host.manifest import resolve
from tricorn.host.schema import migrations
from tricorn.host.settings import Settings
from tricorn.supervise.databases import database_of
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tricorn.data import Database
    from tricorn.data.migrations import Migrated
    from tricorn.data.server import Server
    from tricorn.host import Manifest
    from tricorn.host.manifest import Demo

_FILLED = "demo"


async def prepare_database(
    manifest: Manifest, home: Path, *, demo: bool, step: Callable[[str, int, int], None]
) -> Migrated:
    """Make, migrate and fill the application's database on the server that DATABASE_URL names. The manifest is active.

    Args:
        manifest: the application.
        home: its state.
        demo: whether to fill an empty database with demonstration data; outside development it is never done.
        step: hears how far it is: what, done, total (0: unknown).

    Raises:
        DataError: the server cannot be reached, or a migration fails.
        SuperviseError: the demonstration data cannot be loaded; the database stays as it was migrated.
    """
    settings = Settings()
    server = server_for(settings.database_url or None, state_dir=home)
    name = database_name(manifest, settings)
    await ensure_database(server, name)
    done = await migrate(server, name, migrations(manifest), prefix=name)
    if not done.up_to_date:
        step(f"migrated {len({part[0] for part in done.steps})} schemas", 0, 0)
    if demo and manifest.demo is not None and settings.environment == "development":
        await _fill_once(manifest, manifest.demo, server, name, step)
    return done


def database_name(manifest: Manifest, settings: Settings) -> str:
    """The database that the application lives in: its name, or the one that DATABASE_URL ends with."""
    return database_of(manifest, settings.database_url)


async def _fill_once(
    manifest: Manifest, demo: Demo, server: Server, name: str, step: Callable[[str, int, int], None]
) -> None:
    admin = await connect_admin(server, name)
    try:
        if await admin.fetchval("select true from tricorn.state where key = $1", _FILLED):
            return
        await _fill(manifest, demo, server, name, step)
        await _analyze(admin)
        await admin.execute("insert into tricorn.state values ($1, 'filled') on conflict do nothing", _FILLED)
    finally:
        await admin.close()


async def _analyze(admin: Any) -> None:
    """Look at what was filled: else the first minutes run on guesses, until autovacuum comes round and disturbs them.

    Tables without rows are left alone. PostgreSQL takes one that it has never looked at for a small one, and one that
    it has seen empty for empty, which makes for plans without an index.
    """
    for name in await admin.fetch(
        "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace"
        " where relkind = 'r' and nspname !~ '^(pg_|information_schema)' and pg_relation_size(pg_class.oid) > 0"
    ):
        await admin.execute(f"analyze {name[0]}")


async def _fill(
    manifest: Manifest, demo: Demo, server: Server, name: str, step: Callable[[str, int, int], None]
) -> None:
    """Call the application's `fill(databases, step)`: each context's database by name, and who hears how far it is."""
    from tricorn.data import Database  # noqa: PLC0415 - needed on the first start only

    names = RoleNames(name)
    databases: dict[str, Database] = {}
    for context, part in manifest.contexts.items():
        if part.database:
            url = server.url(name, names.runtime(context))
            databases[context] = Database(url, size=2, name=f"{manifest.name}-{context}-demo")
    try:
        for database in databases.values():
            await database.open()
        outcome = resolve(demo.fill)(databases, step)
        if inspect.isawaitable(outcome):
            await outcome
    except ModuleNotFoundError as error:
        raise SuperviseError(
            f"the demonstration data needs {error.name!r}, which is not installed",
            remedy="run it through ./tricorn, which installs it, or start with --no-demo-data",
        ) from error
    finally:
        for database in databases.values():
            await database.close()
