"""Notifications from PostgreSQL on one connection that comes back when it is lost."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from tricorn.telemetry import get_logger

_log = get_logger("tricorn.data")

_CONNECT_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 2.0
_FIRST_PAUSE_SECONDS = 0.05

Callback = Callable[[str], None]


class Listener:
    """Any number of channels on one connection, opened with the first and kept until `close`."""

    def __init__(self, connect: Callable[[float], Awaitable[Any]]) -> None:
        self._connect = connect
        self._callbacks: dict[str, list[Callback]] = {}
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._listening: dict[str, asyncio.Event] = {}

    async def add(self, channel: str, callback: Callback) -> Callable[[], Awaitable[None]]:
        """Returns once the server listens on `channel`; the answer takes the callback off again."""
        self._callbacks.setdefault(channel, []).append(callback)
        listening = self._listening.setdefault(channel, asyncio.Event())
        self._changed.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="tricorn.data.listener")
        await listening.wait()

        async def remove() -> None:
            with contextlib.suppress(ValueError):
                self._callbacks[channel].remove(callback)

        return remove

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._serve_one_connection()
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _serve_one_connection(self) -> None:
        """Returns when the connection is lost."""
        connection = await self._connect(_CONNECT_SECONDS)
        subscribed: set[str] = set()
        connection.add_termination_listener(lambda _: self._changed.set())
        try:
            while not connection.is_closed():
                self._changed.clear()
                for channel in [name for name in self._callbacks if name not in subscribed]:
                    await connection.add_listener(channel, self._on_notification)
                    subscribed.add(channel)
                    self._listening[channel].set()
                    self._call(channel, "")
                await self._changed.wait()
        finally:
            connection.terminate()

    def _on_notification(self, _connection: Any, _pid: int, channel: str, payload: str) -> None:
        self._call(channel, payload)

    def _call(self, channel: str, payload: str) -> None:
        for callback in list(self._callbacks.get(channel, ())):
            try:
                callback(payload)
            except Exception:  # noqa: BLE001 - one listener's defect is not the others'
                _log.exception("a listener failed", channel=channel)
