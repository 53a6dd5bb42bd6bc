"""Making and dropping databases that sort text the same way on every server."""

from typing import Any

import asyncpg

from tricorn.data.connecting import connect_admin
from tricorn.data.errors import DataError
from tricorn.data.roles import quote
from tricorn.data.server import Server

_ALWAYS_THERE = "postgres"
_FIRST_WITH_BUILTIN_LOCALES = 170_000


async def ensure_database(server: Server, name: str) -> bool:
    """Create the database when it is not there; true when it was created. Several processes may do so at once.

    Raises:
        DataError: the server cannot be reached.
    """
    try:
        await (await connect_admin(server, name)).close()
    except DataError as error:
        if not isinstance(error.__cause__, asyncpg.InvalidCatalogNameError):
            raise
    else:
        return False
    admin = await connect_admin(server, _ALWAYS_THERE)
    try:
        await create_database(admin, name)
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return False
    finally:
        await admin.close()
    return True


async def drop_database(server: Server, name: str) -> None:
    """Remove a database, if it is there, cutting whoever is connected to it."""
    admin = await connect_admin(server, _ALWAYS_THERE)
    try:
        await admin.execute(f"drop database if exists {quote(name)} with (force)")
    finally:
        await admin.close()


async def create_database(admin: Any, name: str) -> None:
    """An empty database in UTF-8 that sorts by code point, whatever the server's own default is."""
    version = int(await admin.fetchval("show server_version_num"))
    locale = (
        "locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'"
        if version >= _FIRST_WITH_BUILTIN_LOCALES
        else "locale 'C.UTF-8'"
    )
    await admin.execute(f"create database {quote(name)} template template0 encoding 'UTF8' {locale}")
