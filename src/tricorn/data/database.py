"""A context's door to its data: SQL in, records out, transactions that always end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal, Self, TypeAlias

import asyncpg

from tricorn.contract import PlatformReason, Refusal
from tricorn.data.failures import refusal_for
from tricorn.data.listening import Listener
from tricorn.data.pool import Pool

Record: TypeAlias = asyncpg.Record
Isolation = Literal["read committed", "repeatable read", "serializable"]

DEFAULT_SIZE = 10
DEFAULT_ACQUIRE_SECONDS = 2.0
_BEGIN = {
    "read committed": "begin",
    "repeatable read": "begin isolation level repeatable read",
    "serializable": "begin isolation level serializable",
}


class Connection:
    """One open transaction. Statements are prepared once per connection and remembered.

    Every method raises `Refusal` for failures of the infrastructure (UNAVAILABLE, DEADLINE_EXCEEDED, ABORTED) and
    lets asyncpg's own errors through for what the SQL did (`asyncpg.UniqueViolationError`).
    """

    __slots__ = ("_raw",)

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        return await self._run("fetch", sql, *args)  # type: ignore[no-any-return]

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        return await self._run("fetchrow", sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row; None when there is no row."""
        return await self._run("fetchval", sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """The status, e.g. `UPDATE 3`."""
        return await self._run("execute", sql, *args)  # type: ignore[no-any-return]

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """All rows or none, in few round trips."""
        await self._run("executemany", sql, rows)

    async def copy_records(
        self, table: str, records: Iterable[Sequence[Any]], *, columns: Sequence[str], schema: str | None = None
    ) -> int:
        """Load rows by COPY, the fastest way in; the number of rows."""
        status = await self._run(
            "copy_records_to_table", table, records=records, columns=list(columns), schema_name=schema
        )
        return int(str(status).rpartition(" ")[2])

    async def _run(self, method: str, *args: Any, **options: Any) -> Any:
        try:
            return await getattr(self._raw, method)(*args, **options)
        except Exception as error:
            refusal = refusal_for(error)
            if refusal is None:
                raise
            raise refusal from error


class Database:
    """One role's pool on one database. `open` before use, `close` after.

    The role's settings (search path, time limits) come from the role itself. Methods outside a transaction run each
    statement by itself. After a restart of the server dead connections are replaced; what was in flight is refused
    as UNAVAILABLE.

    Args:
        url: where to, and as whom.
        size: the most connections at once; see `check_budget`.
        name: shown in `pg_stat_activity`.
        acquire_seconds: how long a call waits for a connection before it is refused as UNAVAILABLE.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int = DEFAULT_SIZE,
        name: str = "tricorn",
        acquire_seconds: float = DEFAULT_ACQUIRE_SECONDS,
    ) -> None:
        self.url = url
        self._pool = Pool(url, size=size, acquire_seconds=acquire_seconds, settings={"application_name": name})
        self._listener = Listener(self._pool.connect)

    @property
    def pool(self) -> Pool:
        return self._pool

    async def open(self) -> None:
        """Prove that the server can be reached as this role, and keep that first connection.

        Raises:
            Refusal: UNAVAILABLE.
        """
        self._pool.release(await self._pool.acquire(), clean=True)

    async def close(self) -> None:
        await self._listener.close()
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def fetch(self, sql: str, *args: Any) -> list[Record]:
        return await self._run("fetch", sql, *args)  # type: ignore[no-any-return]

    async def fetchrow(self, sql: str, *args: Any) -> Record | None:
        return await self._run("fetchrow", sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row; None when there is no row."""
        return await self._run("fetchval", sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """The status, e.g. `UPDATE 3`."""
        return await self._run("execute", sql, *args)  # type: ignore[no-any-return]

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """All rows or none, in few round trips."""
        await self._run("executemany", sql, rows)

    async def _run(self, method: str, sql: str, *args: Any) -> Any:
        raw = await self._pool.acquire()
        clean = False
        try:
            result = await getattr(raw, method)(sql, *args)
            clean = not raw.is_in_transaction()
        except Exception as error:
            clean = isinstance(error, asyncpg.PostgresError) and not raw.is_in_transaction()
            refusal = refusal_for(error)
            if refusal is None:
                raise
            raise refusal from error
        finally:
            self._pool.release(raw, clean=clean)
        return result

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read committed", statement_seconds: int | None = None
    ) -> AsyncIterator[Connection]:
        """One transaction: committed when the block ends, rolled back when it raises or is cancelled.

        Args:
            isolation: as in SQL.
            statement_seconds: how long a statement may run, instead of the role's limit: for jobs, never for requests.

        Raises:
            Refusal: ABORTED when it lost against a concurrent one; see `retry_aborted`.
        """
        begin = _BEGIN[isolation]
        if statement_seconds is not None:
            begin += f"; set local statement_timeout = '{statement_seconds:d}s'"
        raw = await self._begin(begin)
        clean = False
        try:
            try:
                yield Connection(raw)
                await _commit(raw)
                clean = True
            except BaseException as error:
                clean = await _rolled_back(raw, error)
                raise
        except Exception as error:
            refusal = refusal_for(error)
            if refusal is None:
                raise
            raise refusal from error
        finally:
            self._pool.release(raw, clean=clean)

    async def _begin(self, begin: str) -> Any:
        """A connection in a new transaction. A dead one is found out here, where trying another is safe.

        After as many dead ones as there can be, the next is new.
        """
        for _ in range(self._pool.size + 1):
            raw = await self._pool.acquire()
            begun = False
            try:
                await raw.execute(begin)
                begun = True
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                refusal = refusal_for(error)
                if refusal is None:
                    raise
                if not raw.is_closed():
                    raise refusal from error
            else:
                return raw
            finally:
                if not begun:
                    self._pool.release(raw, clean=False)
        raise Refusal(PlatformReason.UNAVAILABLE, "the data cannot be reached at the moment; try again")

    async def listen(self, channel: str, callback: Callable[[str], None]) -> Callable[[], Awaitable[None]]:
        """Call `callback(payload)` for every notification on `channel`; the answer stops it.

        All channels share one connection outside the pool, which is opened again when it is lost. Since notifications
        may have been missed meanwhile, `callback("")` is called after every new connection.
        """
        return await self._listener.add(channel, callback)


async def _commit(raw: Any) -> None:
    """PostgreSQL answers the commit of a failed transaction with a rollback, and no error."""
    if await raw.execute("commit") != "COMMIT":
        raise asyncpg.InFailedSQLTransactionError(
            "an error inside the transaction was swallowed, so nothing of it was committed"
        )


async def _rolled_back(raw: Any, error: BaseException) -> bool:
    """Whether the connection is fit for further use: cancelled or broken ones are not worth the wait."""
    if isinstance(error, (asyncio.CancelledError, GeneratorExit, OSError)) or raw.is_closed():
        return False
    try:
        await raw.execute("rollback")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return False
    return True
