"""Commits as slow as on disks that are slower than this one, for whoever commits on a server."""

import asyncio
import statistics
import time
from typing import Any

import asyncpg

_RELOAD_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_HELD = "SELECT setting FROM pg_settings WHERE name = 'commit_delay'"


async def slow_down(database: str, microseconds: int) -> None:
    """Lets each flush of the log take so much longer on the server, until it is said anew.

    PostgreSQL's ``commit_delay`` waits before a flush while the log is held, as a slower disk would have it held after that. Who
    commits one by one waits neither more nor less for it; of those who commit at once more share a flush than a disk would let.

    Raises:
        TimeoutError: the server has not taken it.
    """
    connection: Any = await asyncpg.connect(database, timeout=10)
    try:
        # However few are at work beside the one that commits.
        await connection.execute("ALTER SYSTEM SET commit_siblings = 0")
        await connection.execute(f"ALTER SYSTEM SET commit_delay = {int(microseconds)}")
        await connection.execute("SELECT pg_reload_conf()")
        until = time.monotonic() + _RELOAD_SECONDS
        while await connection.fetchval(_HELD) != str(microseconds):
            if time.monotonic() > until:
                raise TimeoutError(f"PostgreSQL has not taken a commit_delay of {microseconds} us")
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        await connection.close()


async def lone_commit_ms(database: str, count: int = 50) -> float:
    """Milliseconds from the statement to its answer when nobody else commits: the median of so many."""
    connection: Any = await asyncpg.connect(database, timeout=10)
    try:
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            # A record in the log that nobody reads: a transaction with nothing but its commit.
            await connection.execute("SELECT pg_logical_emit_message(true, 'bench', '')")
            taken.append(time.perf_counter() - began)
    finally:
        await connection.close()
    return 1000 * statistics.median(taken)
