"""Moves a context's events from its outbox to the groups that subscribe to them.

Delivered at least once and in order per aggregate. What is due is found by its row in `outbox_pending`, not by a cursor
of positions: transactions commit out of the order of their positions, and a cursor would pass over the late ones. An
event leaves `outbox_pending` when each group has either taken it or has it among its dead letters.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tricorn.data import Connection, Database, Record
from tricorn.events.event import COLUMNS, StoredEvent
from tricorn.events.lease import HELD, LEASE_SECONDS, Leases
from tricorn.events.line import Item, Line, Retry, Sink
from tricorn.events.partition import SLOTS
from tricorn.events.poke import REDRIVE, channel_of
from tricorn.events.status import OutboxStatus, read_status
from tricorn.failpoints import failpoint
from tricorn.telemetry import get_logger

POLL_SECONDS = 2.0
LINGER_SECONDS = 0.02
SPACING_SECONDS = 0.1
MARK_SECONDS = 0.2
STATUS_SECONDS = 10.0
IN_THE_WORKS = 1000

_log = get_logger("tricorn.events")

# A mark may be lost in a crash of the server: the event is then delivered again, and found done. So nobody waits for
# the disk.
_QUICK = "quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))"
_DELETE = """
DELETE FROM outbox_pending p USING held, quick WHERE p.position = ANY($3::bigint[]) AND p.partition % 8 = held.slot
"""
_MARK = f"WITH {HELD}, {_QUICK} {_DELETE}"
# The offset keeps this a look-up of each pending event. A join, planned while the log was short, would read all of it.
_PENDING = "FROM outbox_pending p CROSS JOIN LATERAL (SELECT * FROM outbox WHERE position = p.position OFFSET 0) o"
_FETCH = f"""
SELECT {COLUMNS} {_PENDING}
WHERE p.partition % 8 = ANY($1::smallint[]) AND p.position <> ALL($2::bigint[]) ORDER BY p.position LIMIT $3
"""
_MARK_AND_FETCH = f"""
WITH {HELD}, {_QUICK}, marked AS ({_DELETE})
SELECT {COLUMNS} {_PENDING}
WHERE p.partition % 8 = ANY($4::smallint[]) AND p.position <> ALL($5::bigint[]) ORDER BY p.position LIMIT $6
"""
_PARK = f"""
WITH {HELD} INSERT INTO dead_letter AS d
    ("group", position, event_id, subject, partition, state, attempts, error, redrive)
SELECT g."group", o.position, o.id, o.subject, o.partition, CASE WHEN g.attempts > 0 THEN 'parked' ELSE 'waiting' END,
    g.attempts, g.error, g.attempts = 0 AND EXISTS (SELECT FROM dead_letter ahead
        WHERE ahead."group" = g."group" AND ahead.subject = o.subject AND ahead.redrive AND ahead.state <> 'dropped')
FROM unnest($3::text[], $4::bigint[], $5::int[], $6::text[]) AS g ("group", position, attempts, error)
JOIN outbox o USING (position) JOIN held ON held.slot = o.partition % 8
ON CONFLICT ("group", position) DO UPDATE SET redrive = d.state = 'dropped', changed_at = clock_timestamp(),
    state = CASE WHEN d.state = 'dropped' THEN d.state ELSE excluded.state END,
    attempts = d.attempts + excluded.attempts,
    error = CASE WHEN d.state = 'dropped' THEN d.error ELSE excluded.error END
"""
_RESOLVE = f"""
WITH {HELD} DELETE FROM dead_letter d USING held, unnest($3::text[], $4::bigint[]) AS g ("group", position)
WHERE d."group" = g."group" AND d.position = g.position AND d.state <> 'dropped' AND d.partition % 8 = held.slot
"""
_LETTERS = """
SELECT "group", subject, partition % 8 AS slot, min(position) AS first
FROM dead_letter WHERE state <> 'dropped' AND partition % 8 = ANY($1::smallint[]) GROUP BY 1, 2, 3
"""
_SETTLED = """
SELECT d."group", p.position FROM outbox_pending p JOIN dead_letter d USING (position)
WHERE p.partition % 8 = ANY($1::smallint[])
"""
_FLAGGED = """
SELECT DISTINCT "group", subject, partition % 8 AS slot FROM dead_letter
WHERE redrive AND partition % 8 = ANY($1::smallint[]) AND "group" = ANY($2::text[]) LIMIT $3
"""
_AGAIN = f"""
SELECT g."group", {COLUMNS} FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS g ("group", subject, number)
CROSS JOIN LATERAL (
    SELECT position FROM dead_letter d WHERE d.subject = g.subject AND d."group" = g."group" AND d.state <> 'dropped'
    ORDER BY position LIMIT $3
) d JOIN outbox o ON o.position = d.position ORDER BY g.number, o.position LIMIT $3
"""
_UNFLAG = f"""
WITH {HELD} UPDATE dead_letter d SET redrive = false FROM held, unnest($3::text[], $4::text[]) AS g ("group", subject)
WHERE d."group" = g."group" AND d.subject = g.subject AND d.redrive AND (d.state = 'dropped') = $5
AND d.partition % 8 = held.slot
"""


@dataclass(frozen=True, slots=True)
class Route:
    """A group, the types of event (full names of messages) it subscribes to, and where it is."""

    group: str
    types: frozenset[str]
    sink: Sink


class Relay:
    """The relay of one context in one process; any number of processes may run one.

    Args:
        source: The context's name, the `source` of its events.
        database: The context's own.
        routes: Every durable group of the application, of this process or not: an event that no route wants is done.
        name: Shown to operators.
        poll_seconds: How long it may take to find an event whose wake-up was lost.
        linger_seconds: How long a wake-up is answered late, so that one turn serves several events.
        spacing_seconds: The least time between two turns, so that under load one turn and one transaction of a handler
            serve many events.
        in_the_works: The most events held in memory, and the most dead letters that are delivered again; a group that cannot be
            reached holds all up when it has so many.
        listener: Whose connection listens for wake-ups, when not `database`.
        own: The token of this process's `Poke`, which wakes this relay directly.
    """

    def __init__(
        self,
        source: str,
        database: Database,
        routes: Iterable[Route],
        *,
        name: str = "",
        retry: Retry | None = None,
        lease_seconds: float = LEASE_SECONDS,
        poll_seconds: float = POLL_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
        spacing_seconds: float = SPACING_SECONDS,
        in_the_works: int = IN_THE_WORKS,
        listener: Database | None = None,
        own: str = "",
    ) -> None:
        self.source = source
        self.counts = Counter[str]()
        self.status: OutboxStatus | None = None
        self.leases = Leases(database, name or source, seconds=lease_seconds)
        self._database = database
        self._lines: dict[str, Line] = {}
        self._groups: dict[str, list[str]] = {}
        for route in routes:
            self._lines[route.group] = Line(route.group, route.sink, self, retry=retry or Retry())
            for name_of_type in route.types:
                self._groups.setdefault(name_of_type, []).append(route.group)
        self._listener = listener or database
        self._own = own
        self._poll_seconds = poll_seconds
        self._linger_seconds = linger_seconds
        self._spacing_seconds = spacing_seconds
        self._last_turn = 0.0
        self._in_the_works = in_the_works
        self._works: dict[int, Item] = {}
        self._done: list[Item] = []
        self._letters: list[tuple[str, Item, int, str]] = []
        self._resolved: list[tuple[str, Item]] = []
        self._parked: list[set[tuple[str, str]]] = [set() for _ in range(SLOTS)]
        self._settled: set[tuple[str, int]] = set()
        self._redriving = Counter[tuple[str, str]]()
        self._unadopted: set[int] = set()
        self._wake = asyncio.Event()
        self._marking: asyncio.TimerHandle | None = None
        self._draining = 0
        self._idle = asyncio.Event()
        self._hungry = True
        self._look_for_letters = True
        self._next_beat = self._next_poll = self._next_status = 0.0

    def poke(self, payload: str = "") -> None:
        """There may be something to do."""
        if payload and payload == self._own:
            return
        self._hungry = True
        self._look_for_letters |= payload == REDRIVE
        self._wake.set()

    def _mark_soon(self) -> None:
        """What is done is written with the next turn that something calls for, or after `MARK_SECONDS`."""
        if self._draining or len(self._done) + len(self._works) >= self._in_the_works:
            self._wake.set()
        elif self._marking is None:
            self._marking = asyncio.get_running_loop().call_later(MARK_SECONDS, self._wake.set)

    async def drained(self) -> None:
        """Returns when this relay, while it runs, has found nothing pending in its slots and has nothing in the
        works.
        """
        self._draining += 1
        try:
            self._idle.clear()
            self.poke(REDRIVE)
            await self._idle.wait()
        finally:
            self._draining -= 1

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop`; then lets the deliveries under way end and gives its leases back."""
        stopper = asyncio.ensure_future(stop.wait())
        stopper.add_done_callback(lambda _: self._wake.set())
        unlisten = None
        try:
            while not stop.is_set():
                try:
                    if unlisten is None:
                        unlisten = await self._listener.listen(channel_of(self.source), self.poke)
                    await self._turn()
                except Exception as error:  # noqa: BLE001 - the database may be away; what is pending stays pending
                    _log.warning("relay held up", source=self.source, error=repr(error))
                    self._hungry = True
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(asyncio.shield(stopper), self._poll_seconds)
                await self._rest(stop)
        finally:
            stopper.cancel()
            if unlisten is not None:
                await unlisten()
            await self._close()

    async def _turn(self) -> None:
        self._last_turn = time.monotonic()
        if time.monotonic() >= self._next_beat or not self.leases.valid:
            await self._beat()
        if self._unadopted:
            await self._adopt(self._unadopted)
            self._unadopted = set()
        slots = self.leases.slots
        fetch = bool(slots) and self._hungry and len(self._works) < self._in_the_works
        if not fetch or self._letters or self._resolved:
            await self._flush()
        if slots and self._look_for_letters:
            await self._redrive(slots)
        if fetch:
            await self._fetch(slots)
        for line in self._lines.values():
            line.go()
        under_way = self._works or self._redriving or self._done or self._letters or self._resolved
        if not (self._hungry or self._look_for_letters or under_way):
            self._idle.set()

    async def _rest(self, stop: asyncio.Event) -> None:
        due = min(self._next_beat, self._next_poll)
        try:
            async with asyncio.timeout(max(0.0, due - time.monotonic())):
                await self._wake.wait()
            if self._linger_seconds and not (stop.is_set() or self._draining):
                since = time.monotonic() - self._last_turn
                await asyncio.sleep(max(self._linger_seconds, self._spacing_seconds - since))
        except TimeoutError:
            pass
        if time.monotonic() >= self._next_poll:
            self._next_poll = time.monotonic() + self._poll_seconds
            self._hungry = True
        self._wake.clear()

    async def _beat(self) -> None:
        self._next_beat = time.monotonic() + self.leases.seconds / 3
        changed = await self.leases.beat()
        if self.leases.surplus:
            await self._flush()
            held = Counter(item.slot for item in self._works.values())
            slots = sorted(self.leases.slots, key=lambda slot: held[slot])[: self.leases.surplus]
            await self.leases.release(slots)
            changed.update(slots)
        self._unadopted |= changed
        self._look_for_letters = True
        if time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_SECONDS
            self.status = await read_status(self._database)

    async def _adopt(self, changed: Collection[int]) -> None:
        self._works = {position: item for position, item in self._works.items() if self.holds(item)}
        gained = [slot for slot in changed if self.leases.fences[slot]]
        for slot in changed:
            self._parked[slot].clear()
        if gained:
            for row in await self._database.fetch(_LETTERS, gained):
                self._parked[row["slot"]].add((row["group"], row["subject"]))
            settled = await self._database.fetch(_SETTLED, gained)
            self._settled.update((row["group"], row["position"]) for row in settled)
        self._hungry = self._look_for_letters = True
        _log.info("leases changed", source=self.source, slots=self.leases.slots)

    async def _fetch(self, slots: list[int]) -> None:
        """Takes what is pending into the works; on the way marks what is done."""
        self._hungry = False
        # What has become a dead letter since the last flush stays pending until its letter is written.
        done = [] if self._letters else self._take_done()
        room = self._in_the_works - len(self._works)
        fences = list(self.leases.fences)
        marks = self._positions(done)
        works = list(self._works)
        try:
            if marks:
                await failpoint("events.marking")
                mine = (self.leases.holder, fences, marks)
                rows = await self._database.fetch(_MARK_AND_FETCH, *mine, slots, works, room)
            else:
                rows = await self._database.fetch(_FETCH, slots, works, room)
        except BaseException:
            self._done[:0] = done
            raise
        self._leave_works(done, len(marks))
        self._hungry |= len(rows) == room
        for row in rows:
            event = StoredEvent.from_row(row, self.source)
            slot = event.partition % SLOTS
            self._offer(Item(event, slot, fences[slot]))
        await failpoint("events.fetched")

    def _offer(self, item: Item) -> None:
        event = item.event
        self._works[event.position] = item
        groups = [
            group
            for group in self._groups.get(event.meta.type, ())
            if (group, event.position) not in self._settled  # among its dead letters before this relay took over
        ]
        item.open = len(groups) or 1
        for group in groups:
            if (group, event.meta.subject) in self._parked[item.slot]:
                self.parked(group, item, 0, "behind a dead letter of the same aggregate")
            else:
                self._lines[group].offer(item)
        if not groups:
            self._close_item(item)

    async def _redrive(self, slots: list[int]) -> None:
        room = self._in_the_works - self._redriving.total()
        if room <= 0:
            return
        keys = await self._flagged(slots)
        if not keys:
            return
        fences = list(self.leases.fences)
        rows, unfinished = await self._letters_of(keys, room)
        # Of an aggregate that fell back among the dead letters since the last flush, some are not in the table yet.
        for group, item, _, _ in self._letters:
            self._look_for_letters |= keys.pop((group, item.event.meta.subject), None) is not None
        for key, slot in keys.items():
            if key != unfinished:  # else what is new would overtake the rest, behind which it is put now
                self._parked[slot].discard(key)
        for row in rows:
            event = StoredEvent.from_row(row, self.source)
            key = (row["group"], event.meta.subject)
            if key in keys:
                slot = event.partition % SLOTS
                self._redriving[key] += 1
                self._lines[row["group"]].offer(Item(event, slot, fences[slot], letter=True))
        await self._unflag(self._database, keys, dropped=True)

    async def _flagged(self, slots: list[int]) -> dict[tuple[str, str], int]:
        """The groups and aggregates to be redriven that are not being redriven, with their slots."""
        self._look_for_letters = False
        flagged = await self._database.fetch(_FLAGGED, slots, list(self._lines), self._in_the_works)
        self._look_for_letters |= len(flagged) == self._in_the_works
        keys = {(row["group"], row["subject"]): row["slot"] for row in flagged}
        return {key: slot for key, slot in keys.items() if key not in self._redriving}

    async def _letters_of(
        self, keys: dict[tuple[str, str], int], room: int
    ) -> tuple[Sequence[Record], tuple[str, str] | None]:
        """As many dead letters as there is room for, and whose did not all fit; those behind are left out of the keys."""
        asked = list(keys)
        rows = await self._database.fetch(_AGAIN, *map(list, zip(*asked, strict=True)), room + 1)
        if len(rows) <= room:
            return rows, None
        unfinished = (rows[room]["group"], rows[room]["subject"])
        for key in asked[asked.index(unfinished) + 1 :]:
            del keys[key]
        return rows[:room], unfinished

    async def _flush(self) -> None:
        """Writes what became of events, as far as their leases still hold."""
        done = self._take_done()
        letters, self._letters = self._letters, []
        resolved, self._resolved = self._resolved, []
        fences = self.leases.fences
        positions = self._positions(done)
        parked = [letter for letter in letters if fences[letter[1].slot] == letter[1].fence]
        taken = [(group, item.event.position) for group, item in resolved if fences[item.slot] == item.fence]
        try:
            if parked or taken:
                async with self._database.transaction() as connection:
                    await self._write_letters(connection, parked, taken)
                    await connection.execute(_MARK, self.leases.holder, fences, positions)
            elif positions:
                await failpoint("events.marking")
                await self._database.execute(_MARK, self.leases.holder, fences, positions)
        except BaseException:
            self._done[:0], self._letters[:0], self._resolved[:0] = done, letters, resolved
            raise
        self._leave_works(done, len(positions))
        self.counts["parked"] += sum(1 for letter in parked if letter[2])

    def _take_done(self) -> list[Item]:
        if self._marking is not None:
            self._marking.cancel()
            self._marking = None
        done, self._done = self._done, []
        return done

    def _positions(self, done: list[Item]) -> list[int]:
        """Of those whose leases still hold."""
        return [item.event.position for item in done if self.leases.fences[item.slot] == item.fence]

    def _leave_works(self, done: list[Item], delivered: int) -> None:
        for item in done:
            if self._works.get(item.event.position) is item:
                del self._works[item.event.position]
        self.counts["delivered"] += delivered

    async def _write_letters(
        self, connection: Connection, parked: list[tuple[str, Item, int, str]], taken: list[tuple[str, int]]
    ) -> None:
        holder, fences = self.leases.holder, self.leases.fences
        if parked:
            rows = {(group, item.event.position): (attempts, error) for group, item, attempts, error in parked}
            groups, positions = zip(*rows, strict=True)
            attempts, errors = zip(*rows.values(), strict=True)
            await connection.execute(_PARK, holder, fences, *map(list, (groups, positions, attempts, errors)))
            # What failed ends the redrive of its aggregate, also of what there was no room for yet.
            failed = {(group, item.event.meta.subject) for group, item, attempts, _ in parked if attempts}
            await self._unflag(connection, failed, dropped=False)
        if taken:
            await connection.execute(_RESOLVE, holder, fences, *map(list, zip(*taken, strict=True)))

    async def _unflag(self, on: Connection | Database, keys: Collection[tuple[str, str]], *, dropped: bool) -> None:
        if keys:
            groups, subjects = zip(*keys, strict=True)
            await on.execute(_UNFLAG, self.leases.holder, self.leases.fences, list(groups), list(subjects), dropped)

    def holds(self, item: Item) -> bool:
        return self.leases.holds(item.slot, item.fence)

    def done(self, group: str, item: Item) -> None:
        if item.letter:
            self._resolved.append((group, item))
            self._one_less(group, item)
            self._mark_soon()
        else:
            self._close_item(item)

    def parked(self, group: str, item: Item, attempts: int, error: str) -> None:
        self._parked[item.slot].add((group, item.event.meta.subject))
        self._letters.append((group, item, attempts, error))
        if attempts:
            meta = item.event.meta
            _log.error("dead letter", group=group, event_id=meta.id, type=meta.type, subject=meta.subject, error=error)
        if item.letter:
            self._one_less(group, item)
            self._mark_soon()
        else:
            self._close_item(item)

    def forgotten(self, group: str, item: Item) -> None:
        if item.letter:
            self._one_less(group, item)
            self._look_for_letters = True
        elif self._works.get(item.event.position) is item:
            del self._works[item.event.position]
        self.poke()

    def _close_item(self, item: Item) -> None:
        item.open -= 1
        if item.open <= 0:
            self._done.append(item)
            self._mark_soon()

    def _one_less(self, group: str, item: Item) -> None:
        key = (group, item.event.meta.subject)
        self._redriving[key] -= 1
        if not self._redriving[key]:
            del self._redriving[key]
            self._look_for_letters = True  # there may be more of it, or now there is room

    async def _close(self) -> None:
        await asyncio.gather(*(line.stop() for line in self._lines.values()))
        with contextlib.suppress(Exception):
            await self._flush()
            await self.leases.leave()
