"""Events for every process: a revoked session, a changed product whose cached copy is stale.

Each process tails the log of the publishing context, woken by its notifications and polling besides. Nothing is kept
about who has seen what, so a handler may see an event twice, and a process that was away is told to flush instead.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

from google.protobuf.message import Message

from tricorn.data import Database
from tricorn.events.event import COLUMNS, EventMeta, StoredEvent
from tricorn.events.past import Past
from tricorn.events.poke import channel_of
from tricorn.telemetry import continue_trace, get_logger, span
from tricorn.wire import call_scope

POLL_SECONDS = 0.8
GAP_SECONDS = 3.0
LATE_SECONDS = 60.0

BroadcastHandler = Callable[[Any, EventMeta], Awaitable[None]]
OnGap = Callable[[], Awaitable[None]]

_log = get_logger("tricorn.events")

_START = """
SELECT coalesce(max(position), 0) FROM outbox
WHERE type = ANY($1::text[]) AND time < clock_timestamp() - make_interval(secs => $2)
"""
# Only the index by type can serve a comparison of rows that begin with it: events of other types are not read, however
# many there are, and whatever the plan was made for.
_READ = f"""
SELECT {COLUMNS} FROM unnest($3::text[]) AS wanted (type) CROSS JOIN LATERAL (
    SELECT * FROM outbox WHERE (type, position) > (wanted.type, $1::bigint) AND type <= wanted.type OFFSET 0
) o
UNION ALL
SELECT {COLUMNS} FROM outbox o WHERE o.position = ANY($2::bigint[]) AND o.type = ANY($3::text[])
ORDER BY position
"""


class Tail:
    """The broadcast subscriptions of this process to one context's events.

    Args:
        source: The publishing context's name.
        database: Where its outbox can be read.
        gap_seconds: After that long without a look at the log, what handlers keep in memory is not to be trusted.
        late_seconds: How long a transaction may take. Until then an event may still appear below the ones already seen,
            and is looked for there.
        listener: Whose connection listens for wake-ups, when not `database`.
        own: The token of this process's `Poke`, which wakes this tail directly.
    """

    def __init__(
        self,
        source: str,
        database: Database,
        *,
        poll_seconds: float = POLL_SECONDS,
        gap_seconds: float = GAP_SECONDS,
        late_seconds: float = LATE_SECONDS,
        listener: Database | None = None,
        own: str = "",
    ) -> None:
        self.source = source
        self._database = database
        self._listener = listener or database
        self._own = own
        self._poll_seconds = poll_seconds
        self._gap_seconds = gap_seconds
        self._late_seconds = late_seconds
        self._handlers: dict[str, list[tuple[type[Message], BroadcastHandler]]] = {}
        self._on_gap: list[OnGap] = []
        self._past: Past | None = None
        self._looked = 0.0
        self._wake = asyncio.Event()
        self._once_looked = asyncio.Event()
        self.started = asyncio.Event()

    def on(self, event_class: type[Message], handler: BroadcastHandler) -> None:
        self._handlers.setdefault(event_class.DESCRIPTOR.full_name, []).append((event_class, handler))

    @property
    def types(self) -> list[str]:
        """What is listened for."""
        return list(self._handlers)

    def on_gap(self, flush: OnGap) -> None:
        """`flush` is called when events may have been missed: at the start, and after the log was out of reach."""
        self._on_gap.append(flush)

    def poke(self, payload: str = "") -> None:
        """There may be something new."""
        if not payload or payload != self._own:
            self._wake.set()

    async def looked(self) -> None:
        """Returns after a look at the log that began after this call."""
        for _ in range(2):
            self._once_looked.clear()
            self._wake.set()
            await self._once_looked.wait()

    async def run(self, stop: asyncio.Event) -> None:
        """Hands events over, one after the other, until `stop`. `started` is set once nothing more will be missed."""
        stopper = asyncio.ensure_future(stop.wait())
        stopper.add_done_callback(lambda _: self._wake.set())
        unlisten = None
        try:
            while not stop.is_set():
                self._wake.clear()
                try:
                    if unlisten is None:
                        unlisten = await self._listener.listen(channel_of(self.source), self.poke)
                    await self._look()
                except Exception as error:  # noqa: BLE001 - the database may be away; the gap is noticed when it is back
                    _log.warning("log out of reach", source=self.source, error=repr(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._wake.wait()
        finally:
            stopper.cancel()
            if unlisten is not None:
                await unlisten()

    async def _look(self) -> None:
        types = self.types
        began = time.monotonic()
        first = self._past is None
        if self._past is None:
            low = await self._database.fetchval(_START, types, self._late_seconds)
            self._past = Past(low, self._late_seconds)
        past = self._past
        rows = await self._database.fetch(_READ, *past.unseen(), types)
        gap = first or began - self._looked > self._gap_seconds
        self._looked = time.monotonic()
        if gap:
            for flush in self._on_gap:
                await self._guarded(flush())
        for row in rows:
            if past.add(row["position"], began) and not first:
                await self._hand_over(StoredEvent.from_row(row, self.source))
        past.forget(began)
        self.started.set()
        self._once_looked.set()

    async def _hand_over(self, event: StoredEvent) -> None:
        meta = event.meta
        for event_class, handler in self._handlers[meta.type]:
            with (
                continue_trace(event.traceparent or None),
                span(f"broadcast {meta.type}", kind="consumer", event=meta.id),
                call_scope(causation=meta.id),
            ):
                await self._guarded(handler(event_class.FromString(event.data), meta))

    async def _guarded(self, running: Awaitable[None]) -> None:
        """A handler that fails has missed an event: all are told to flush at the next look."""
        try:
            await running
        except Exception as error:  # noqa: BLE001 - the other handlers' events must not wait for this one
            _log.error("broadcast handler failed", source=self.source, exc_info=error)
            self._looked = float("-inf")
