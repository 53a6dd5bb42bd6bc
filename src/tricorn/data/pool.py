"""Connections kept open for one role on one database.

asyncpg's own pool runs a reset query at every release; here transactions are closed by the one context manager that
opens them, so a connection comes back clean or is thrown away.
"""

import asyncio
import contextlib
from collections import deque
from typing import Any

import asyncpg

from tricorn.data.failures import refusal_for

_CONNECT_PAUSE_SECONDS = 0.05
_CLOSE_SECONDS = 2.0
_IDLE_SECONDS = 60.0
_STATEMENTS = 200


class Pool:
    """At most `size` connections, opened when needed, the most recently used first.

    Args:
        url: where to, and as whom.
        size: the most connections at once.
        acquire_seconds: how long a caller waits for a free connection, or for a server that is starting again.
        settings: session settings sent with the connection's start.
    """

    def __init__(self, url: str, *, size: int, acquire_seconds: float, settings: dict[str, str]) -> None:
        self.size = size
        self._url = url
        self._acquire_seconds = acquire_seconds
        self._settings = settings
        self._idle: deque[tuple[Any, float]] = deque()  # with the time of its last use; the right end is used next
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = 0
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def taken(self) -> int:
        """How many connections are in use now."""
        return self._taken

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def acquire(self) -> Any:
        """A connection that was alive when last used; give it back with `release`.

        Raises:
            Refusal: UNAVAILABLE, when none is free or the server cannot be reached within `acquire_seconds`.
        """
        if self._taken < self.size and not self._waiting and not self._closed:
            self._taken += 1
            return self._pop_idle() or await self._open(self._acquire_seconds)
        return await self._acquire_in_turn()

    def release(self, connection: Any, *, clean: bool) -> None:
        """Give a connection back; one that is not `clean` is closed, which also cancels what still runs on it.

        Those that nobody has needed for a minute are closed on the way, one at a time.
        """
        if clean and not self._closed and not connection.is_closed():
            now = asyncio.get_running_loop().time()
            self._idle.append((connection, now))
            if self._idle[0][1] < now - _IDLE_SECONDS:
                self._discard(self._idle.popleft()[0], in_use=False)
            self._give_place()
        else:
            self._discard(connection, in_use=True)

    async def close(self) -> None:
        """Close what is idle; what is in use is closed when it is released. Waiting callers are refused."""
        self._closed = True
        while self._idle:
            self._discard(self._idle.pop()[0], in_use=False)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(asyncpg.InterfaceError("the pool is closed"))
        self._waiting.clear()
        if self._closing:
            await asyncio.wait(self._closing, timeout=_CLOSE_SECONDS)

    async def _acquire_in_turn(self) -> Any:
        if self._closed:
            raise _refused(asyncpg.InterfaceError("the pool is closed"))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._acquire_seconds
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_at(deadline, _expire, turn, self.size)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._give_place()  # the place came together with the cancellation: pass it on
            raise
        except (TimeoutError, asyncpg.InterfaceError) as error:
            raise _refused(error) from error
        finally:
            timer.cancel()
            with contextlib.suppress(ValueError):
                self._waiting.remove(turn)
        return self._pop_idle() or await self._open(max(0.0, deadline - loop.time()))

    def _pop_idle(self) -> Any | None:
        while self._idle:
            connection, _ = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    def _give_place(self) -> None:
        """Hand this place to whoever waits longest, so that no newcomer overtakes."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1

    async def _open(self, seconds: float) -> Any:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        try:
            while True:
                try:
                    return await self.connect(max(0.05, deadline - loop.time()))
                except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
                    if loop.time() + _CONNECT_PAUSE_SECONDS >= deadline:
                        raise _refused(error) from error
                    await asyncio.sleep(_CONNECT_PAUSE_SECONDS)
                except asyncpg.PostgresError as error:
                    refusal = refusal_for(error)
                    if refusal is not None:
                        raise refusal from error
                    raise
        except BaseException:
            self._give_place()
            raise

    async def connect(self, seconds: float) -> Any:
        """A connection outside the pool's count; the caller closes it."""
        return await asyncpg.connect(
            self._url,
            timeout=seconds,
            server_settings=self._settings,
            statement_cache_size=_STATEMENTS,
            max_cached_statement_lifetime=0,  # for as long as the connection lives
        )

    def _discard(self, connection: Any, *, in_use: bool) -> None:
        """Close in the background; its place is free only afterwards: the server never sees more than `size`."""
        if connection.is_closed():
            if in_use:
                self._give_place()
            return
        task = asyncio.get_running_loop().create_task(_close(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        if in_use:
            task.add_done_callback(lambda _: self._give_place())


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=_CLOSE_SECONDS)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()


def _expire(turn: asyncio.Future[None], size: int) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError(f"all {size} connections stayed in use"))


def _refused(error: BaseException) -> BaseException:
    return refusal_for(error) or error
