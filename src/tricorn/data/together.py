"""What comes together is done by one statement: one round trip and one wait for the disk for all of it."""

import asyncio
import contextvars
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import asyncpg

from tricorn.contract import Refusal
from tricorn.data.database import Database, Record
from tricorn.data.failures import refusal_for

MOST = 64
AT_ONCE = 4
PATIENCE_SECONDS = 0.05
LONGEST_SECONDS = 15.0
_COMMA = re.compile(r",(?![^(]*\))")  # between columns, not within a type's parentheses


@dataclass(frozen=True, slots=True)
class _Run:
    key: Any
    args: tuple[Any, ...]
    answer: asyncio.Future[Record | None]


def asked(columns: str) -> str:
    """What a statement for `Together` reads its rows from: a relation ``asked`` of the arguments, a column each, and ``n``.

    Args:
        columns: Names and types, such as ``"order_id uuid, price numeric(10, 2)"``, in the order of the arguments. A column that is
            itself an array is given as text (see `array_text`) and cast by the statement.
    """
    given = [column.split(maxsplit=1) for column in _COMMA.split(columns)]
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(given, 1))
    return f"unnest({arrays}) WITH ORDINALITY AS asked ({', '.join(name for name, _ in given)}, n)"


def array_text(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it from a text."""
    quoted = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


class Together:
    """One statement for all who want it run at the same time; a group commit.

    What is asked for while a statement is on its way makes the next one, which begins when that one has ended, or beside
    it when it takes longer than `PATIENCE_SECONDS`: it may be waiting for a lock. Nobody is answered before the commit. One
    that fails takes nothing of the others with it: they are run again, each by itself, if the server said that
    one had failed; if the connection was lost or the server is not there, all are told so. Whoever is cancelled before the
    statement begins is left out of it, and afterwards has had it done.

    Args:
        database: Where it runs.
        statement: Constant. Its parameters are arrays, one for each argument, which `asked` makes rows of. For each of
            these that found something it answers a row, whose first column is ``asked.n``.
        key: Names by the arguments the row that is changed. Two with the same key never share a statement; the others are sorted
            by it, so that two processes that want the same rows wait for each other and not in a circle. None for a statement
            that only reads.
        most: The most runs in a statement.
        at_once: The most statements at a time.
        longest: Seconds after which a statement whose server gives no answer is given up: those behind it go on.
    """

    def __init__(
        self,
        database: Database,
        statement: str,
        *,
        key: Callable[[tuple[Any, ...]], Any] | None,
        most: int = MOST,
        at_once: int = AT_ONCE,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._database = database
        self._statement = statement
        self._key = key
        self._most = most
        self._at_once = at_once
        self._longest = longest
        self._waiting: deque[_Run] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._next: asyncio.Handle | None = None
        self._soon = False
        self._begun = 0.0

    async def __call__(self, *args: Any) -> Record | None:
        """The row, once it is committed; None when nothing was found.

        Raises:
            Refusal: As for `Database`; asyncpg's own errors for what this run of the statement did.
        """
        answer = self._ask(args)
        self._arrange()
        return await answer

    async def each(self, runs: Iterable[tuple[Any, ...]]) -> list[Record | None]:
        """Asks for several at once, and answers in their order. What fails is raised when all have ended."""
        answers = [self._ask(args) for args in runs]
        self._arrange()
        await asyncio.gather(*answers, return_exceptions=True)
        return [answer.result() for answer in answers]

    def _ask(self, args: tuple[Any, ...]) -> asyncio.Future[Record | None]:
        answer: asyncio.Future[Record | None] = asyncio.get_running_loop().create_future()
        key = object() if self._key is None else self._key(args)
        hash(key)  # what cannot be a key is told to who asked, not found out when others are on their way with it
        self._waiting.append(_Run(key, args, answer))
        return answer

    def _arrange(self) -> None:
        if not self._waiting or len(self._running) >= self._at_once:
            return
        loop = asyncio.get_running_loop()
        if self._running:
            if self._next is None:
                self._next = loop.call_at(self._begun + PATIENCE_SECONDS, self._begin)
        elif not self._soon:
            if self._next is not None:
                self._next.cancel()
            # In a turn of the loop of its own: whoever asks in this one is of the company.
            self._next, self._soon = loop.call_soon(self._begin), True

    def _begin(self) -> None:
        self._next, self._soon = None, False
        batch: dict[Any, _Run] = {}
        later: list[_Run] = []
        while self._waiting and len(batch) < self._most:
            one = self._waiting.popleft()
            if one.answer.done():
                continue
            if one.key in batch:
                later.append(one)
            else:
                batch[one.key] = one
        self._waiting.extendleft(reversed(later))
        if batch:
            loop = asyncio.get_running_loop()
            self._begun = loop.time()
            # It is no part of the call that happened to come first.
            task = loop.create_task(self._run(list(batch.values())), context=contextvars.Context())
            self._running.add(task)
            task.add_done_callback(self._ended)
        self._arrange()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._arrange()

    async def _run(self, batch: list[_Run]) -> None:
        try:
            if self._key is not None:
                batch.sort(key=attrgetter("key"))
            async with asyncio.timeout(self._longest):
                rows = await self._database.fetch(
                    self._statement, *map(list, zip(*(one.args for one in batch), strict=True))
                )
        except Exception as error:  # noqa: BLE001 - goes to whoever waits for it
            if len(batch) > 1 and _is_one_of_them(error):
                await self._each_alone(batch)
            else:
                _fail(batch, error)
            return
        found = {row[0]: row for row in rows}
        for number, one in enumerate(batch, 1):
            if not one.answer.done():
                one.answer.set_result(found.get(number))

    async def _each_alone(self, batch: list[_Run]) -> None:
        few = asyncio.Semaphore(self._at_once)  # nobody waits long behind those who wait for a lock

        async def alone(one: _Run) -> None:
            async with few:
                if not one.answer.done():
                    await self._run([one])

        await asyncio.gather(*map(alone, batch))


def _is_one_of_them(error: Exception) -> bool:
    """Whether the server said that a statement failed, and nothing was done; else nobody knows, or it would say so to each."""
    said = error.__cause__ if isinstance(error, Refusal) else error
    if isinstance(said, asyncpg.OperatorInterventionError):
        return isinstance(
            said, asyncpg.QueryCanceledError
        )  # by its time limit; the others mean that the server is going, or not there yet
    return isinstance(said, asyncpg.PostgresError) and not isinstance(said, asyncpg.PostgresConnectionError)


def _fail(batch: Sequence[_Run], error: Exception) -> None:
    told = refusal_for(error) or error
    for one in batch:
        if not one.answer.done():
            one.answer.set_exception(told)
