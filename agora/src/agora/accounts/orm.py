"""The ORM beside an event loop: a few threads of its own, one connection each, one transaction a call.

Imported once Django is set up, as ``repository`` is.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import psycopg
from django.db import DatabaseError, InterfaceError, close_old_connections, connection, connections, transaction
from google.protobuf.message import Message

from agora.accounts import framework
from agora.accounts.repository import AccountsRepository
from agora.accounts.service import Publish, Work
from tricorn.contract import Refusal
from tricorn.data import retry_aborted
from tricorn.data.failures import refusal_for
from tricorn.events import Poke, publish_sync

R = TypeVar("R")


class Threads:
    """As many connections to ``url`` as threads, at most; who finds none free waits for one."""

    def __init__(self, count: int, name: str, url: str) -> None:
        self._executors = [
            ThreadPoolExecutor(1, f"{name}-{number}", initializer=framework.use, initargs=(url, name))
            for number in range(count)
        ]
        self._free: asyncio.LifoQueue[ThreadPoolExecutor] = asyncio.LifoQueue()
        for executor in reversed(self._executors):
            self._free.put_nowait(executor)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Executor]:
        executor = await self._free.get()
        try:
            yield executor
        finally:
            self._free.put_nowait(executor)

    async def run(self, work: Callable[[], R]) -> R:
        """Runs ``work`` on one of the threads, in the caller's context (trace, call).

        A caller that is cancelled leaves at once; the thread is free when the work has ended.
        """
        executor = await self._free.get()
        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(executor, lambda: context.run(work))
        future.add_done_callback(lambda done: self._give_back(executor, done))
        return await asyncio.shield(future)

    def close(self) -> None:
        """Ends the threads and closes their connections."""
        for executor in self._executors:
            executor.submit(connections.close_all)
            executor.shutdown()

    def _give_back(self, executor: ThreadPoolExecutor, done: "asyncio.Future[R]") -> None:
        self._free.put_nowait(executor)
        done.exception()  # whoever waits gets it; when nobody does any more, it is no defect


def outbox(poke: Poke) -> Publish:
    """Publishes in the transaction of the calling thread and wakes the relay when it has committed."""

    def publish(event: Message, *, subject: str) -> None:
        with connection.cursor() as cursor:
            publish_sync(cursor, event, subject=subject)
        transaction.on_commit(poke.from_thread)

    return publish


class Transactions:
    """Runs a use case's steps on the ORM in one transaction; once more when PostgreSQL broke a deadlock with it.

    A failure of the database is refused as the platform's own connections refuse it: UNAVAILABLE, ABORTED or
    DEADLINE_EXCEEDED.
    """

    def __init__(self, threads: Threads, publish: Publish) -> None:
        self._threads = threads
        self._publish = publish

    async def __call__(self, steps: Callable[[Work], R]) -> R:
        return await retry_aborted(lambda: self._threads.run(lambda: self._run(steps)))

    def _run(self, steps: Callable[[Work], R]) -> R:
        close_old_connections()
        try:
            with transaction.atomic():
                return steps(Work(AccountsRepository(), self._publish))
        except (DatabaseError, InterfaceError) as error:
            raise (_refusal(error.__cause__) or error) from error
        finally:
            close_old_connections()


def _refusal(cause: BaseException | None) -> Refusal | None:
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and cause.sqlstate is None:
        return refusal_for(ConnectionError(str(cause)))  # the connection itself failed
    return refusal_for(cause) if cause is not None else None
