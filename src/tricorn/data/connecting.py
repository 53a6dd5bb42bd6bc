"""The administrator's connection: short-lived, and without the application's time limits."""

from typing import Any

import asyncpg

from tricorn.data.errors import DataError
from tricorn.data.server import Server


async def connect_admin(server: Server, database: str | None = None) -> Any:
    """A connection of the administrator, without the application's time limits.

    Raises:
        DataError: the server cannot be reached, or does not let the administrator in.
    """
    try:
        return await asyncpg.connect(server.admin_url(database), timeout=10, statement_cache_size=0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DataError(
            f"PostgreSQL cannot be reached: {error or type(error).__name__}",
            where=f"database {database or 'of the address'}",
            remedy="check that it runs and that DATABASE_URL is right",
        ) from error
