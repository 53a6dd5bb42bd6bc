"""What native parts are told of the database: an address for each role that they get, and how many connections they may hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tricorn.data.budget import check_budget
from tricorn.data.names import RoleNames
from tricorn.data.postgres import MAX_CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tricorn.data.server import Server
    from tricorn.host.manifest import Manifest

PREFIX = "TRICORN_DATABASE_"
PUBLISHED = f"{PREFIX}PUBLISHED"
CONNECTIONS = f"{PREFIX}CONNECTIONS"


def part_environment(manifest: Manifest, part: str, server: Server, database: str) -> dict[str, str]:
    """The variables of a native part; empty for one that needs no database.

    Args:
        manifest: the application.
        part: its name in ``[natives]``.
        server: a started one.
        database: one that was migrated for the application, by roles that are named after it.
    """
    native, names = manifest.natives[part], RoleNames(database)
    found = {f"{PREFIX}{name.upper()}": server.url(database, names.runtime(name)) for name in native.databases}
    if native.reads:
        found[PUBLISHED] = server.url(database, names.viewer(part))
    return {**found, CONNECTIONS: str(native.connections)} if found else {}


def check_connections(manifest: Manifest, processes: Sequence[str]) -> None:
    """Whether the embedded server can give all that these processes may ask for. A gateway counts twice: for a while two of them run.

    Raises:
        DataError: it cannot.
    """
    if os.environ.get("DATABASE_URL"):
        return
    from tricorn.host.settings import Settings  # noqa: PLC0415 - two dozen settings for one of them

    asked = {}
    for name in processes:
        process = manifest.processes[name]
        if not process.native:
            asked[name] = Settings().database_connections
            continue
        native = manifest.natives[process.native]
        if native.databases or native.reads:
            asked[name] = native.connections * (2 if native.gateway else 1)
    check_budget(asked, limit=MAX_CONNECTIONS)


def database_of(manifest: Manifest, url: str) -> str:
    """The database that the application lives in: its name, or the one that DATABASE_URL ends with."""
    tail = url.partition("://")[2].partition("?")[0].partition("/")[2]
    return tail or manifest.name
