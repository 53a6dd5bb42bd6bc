"""Waking whoever waits for events: at once in this process, by a coalesced NOTIFY in the others.

A NOTIFY inside the business transaction would serialise all commits of the database on one lock. So the process sends
it after the commit, in a statement of its own and at most once per `INTERVAL_SECONDS`; when it dies in between,
relays find the event at their next poll.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection

from tricorn import telemetry
from tricorn.data import Database

INTERVAL_SECONDS = 0.05
REDRIVE = "redrive"
"""The payload that tells relays to look for dead letters to deliver again."""

_log = telemetry.get_logger("tricorn.events")


def channel_of(source: str) -> str:
    """The PostgreSQL channel on which a context's new events are announced."""
    return f"tricorn_events_{source}"


class Poke:
    """Call it after a commit that published something, with the types (full names) if they are known. `start` it before,
    `stop` it after.

    `token` marks its notifications, so that whoever it wakes directly can ignore them.
    """

    def __init__(self, source: str, database: Database, *, interval: float = INTERVAL_SECONDS) -> None:
        self.token = secrets.token_hex(8)
        self._source = source
        self._database = database
        self._interval = interval
        self._local: list[tuple[Callable[[], None], frozenset[str]]] = []
        self._wanted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def add_local(self, wake: Callable[[], None], types: Collection[str] = ()) -> None:
        """Calls `wake` directly at every poke that may be of its types, all if none are named: a relay or a tail in this process."""
        self._local.append((wake, frozenset(types)))

    def __call__(self, types: Collection[str] = ()) -> None:
        for wake, wanted in self._local:
            if not (types and wanted) or not wanted.isdisjoint(types):
                wake()
        self._wanted.set()

    def from_thread(self) -> None:
        """The same from a thread that is not the event loop's."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._notify(), name=f"tricorn.events.poke.{self._source}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _notify(self) -> None:
        channel = channel_of(self._source)
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._database.execute("SELECT pg_notify($1, $2)", channel, self.token)
            except Exception as error:  # noqa: BLE001 - a wake-up may be lost: relays poll
                _log.warning("relays were not woken; they will poll", source=self._source, error=str(error))
            await asyncio.sleep(self._interval)
