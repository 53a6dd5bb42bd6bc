"""Statements that come together share a transaction: one round trip and one wait for the disk for all of them."""

import asyncio
import contextvars
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from tricorn.contract import Refusal
from tricorn.data.database import Database, Record
from tricorn.data.failures import refusal_for

MOST = 64
AT_ONCE = 4
PATIENCE_SECONDS = 0.05
LONGEST_SECONDS = 15.0

_Waiting = tuple[tuple[Any, ...], asyncio.Future[Record | None]]


class Together:
    """One statement that many may want run at the same time; a group commit.

    What is asked for while a transaction is on its way makes the next one, which begins when that one has ended, or beside
    it when it takes longer than `PATIENCE_SECONDS`: it may be waiting for a lock. Nobody is answered before the commit. A
    statement that fails takes nothing of the others with it: they are run again, each by itself, if the server said that
    one had failed; if the connection was lost or the server is not there, all are told so. Whoever is cancelled before the transaction begins
    is left out of it, and afterwards has had it done.

    Args:
        database: Where it runs.
        statement: Constant, and answers one row however it ends; nothing was found if the row's first column is null.
        order: Sorts by the arguments what runs together, so that transactions of two processes that want the same rows
            wait for each other and not in a circle.
        spacing: Seconds between the beginnings of two transactions: what comes sooner after one waits for company. Who
            comes alone never waits.
        most: The most runs in a transaction.
        at_once: The most transactions at a time.
        longest: Seconds after which a transaction whose server gives no answer is given up: those behind it go on.
    """

    def __init__(
        self,
        database: Database,
        statement: str,
        *,
        order: Callable[[tuple[Any, ...]], Any],
        spacing: float = 0.0,
        most: int = MOST,
        at_once: int = AT_ONCE,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._database = database
        self._statement = statement
        self._order = order
        self._spacing = spacing
        self._most = most
        self._at_once = at_once
        self._longest = longest
        self._waiting: deque[_Waiting] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | None = None
        self._due = math.inf
        self._begun = -math.inf

    async def __call__(self, *args: Any) -> Record | None:
        """The row, once it is committed; None when nothing was found.

        Raises:
            Refusal: As for `Database`; asyncpg's own errors for what this run of the statement did.
        """
        answer: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((args, answer))
        self._arrange()
        return await answer

    def _arrange(self) -> None:
        if not self._waiting or len(self._running) >= self._at_once:
            return
        loop = asyncio.get_running_loop()
        due = self._begun + (PATIENCE_SECONDS if self._running else self._spacing)
        if self._next is not None:
            if due >= self._due:
                return
            self._next.cancel()
        self._due = due
        # In a turn of the loop of its own: whoever asks in this one is of the company.
        self._next = loop.call_at(due, self._begin) if due > loop.time() else loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._next = None
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < self._most:
            one = self._waiting.popleft()
            if not one[1].done():
                batch.append(one)
        if batch:
            loop = asyncio.get_running_loop()
            self._begun = loop.time()
            # It is no part of the call that happened to come first.
            task = loop.create_task(self._run(batch), context=contextvars.Context())
            self._running.add(task)
            task.add_done_callback(self._ended)
        self._arrange()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._arrange()

    async def _run(self, batch: Sequence[_Waiting]) -> None:
        if len(batch) == 1:
            await self._alone(*batch[0])
            return
        try:
            batch = sorted(batch, key=lambda one: self._order(one[0]))
            async with asyncio.timeout(self._longest):
                rows = await self._database.fetchmany(self._statement, [args for args, _ in batch])
            for (_, answer), row in zip(batch, rows, strict=True):
                _answer(answer, row)
        except Exception as error:  # noqa: BLE001 - goes to whoever waits for it
            if not _is_one_of_them(error):
                _fail(batch, error)
                return
            few = asyncio.Semaphore(self._at_once)  # nobody waits long behind those who wait for a lock

            async def alone(one: _Waiting) -> None:
                async with few:
                    await self._alone(*one)

            await asyncio.gather(*map(alone, batch))

    async def _alone(self, args: tuple[Any, ...], answer: asyncio.Future[Record | None]) -> None:
        if answer.done():
            return
        try:
            async with asyncio.timeout(self._longest):
                row = await self._database.fetchrow(self._statement, *args)
        except Exception as error:  # noqa: BLE001 - goes to whoever waits for it
            _fail([(args, answer)], error)
        else:
            _answer(answer, row)


def _is_one_of_them(error: Exception) -> bool:
    """Whether the server said that a statement failed, and nothing was done; else nobody knows, or it would say so to each."""
    said = error.__cause__ if isinstance(error, Refusal) else error
    if isinstance(said, asyncpg.OperatorInterventionError):
        return isinstance(
            said, asyncpg.QueryCanceledError
        )  # by its time limit; the others mean that the server is going, or not there yet
    return isinstance(said, asyncpg.PostgresError) and not isinstance(said, asyncpg.PostgresConnectionError)


def _answer(answer: asyncio.Future[Record | None], row: Record | None) -> None:
    if not answer.done():
        answer.set_result(None if row is None or row[0] is None else row)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    told = refusal_for(error) or error
    for _, answer in batch:
        if not answer.done():
            answer.set_exception(told)
