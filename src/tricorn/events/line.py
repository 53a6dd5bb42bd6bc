"""The events that wait for one group: in order within an aggregate, aggregates side by side."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tricorn.contract import PlatformReason
from tricorn.events.event import StoredEvent
from tricorn.telemetry import get_logger

CHUNK = 64
CONCURRENCY = 4
NOT_NOW = frozenset({PlatformReason.UNAVAILABLE, PlatformReason.DEADLINE_EXCEEDED, PlatformReason.ABORTED})
"""Reasons that are no one's fault: a delivery that fails with one is repeated without counting."""

_log = get_logger("tricorn.events")


class Sink(Protocol):
    """Where a group's events go."""

    async def deliver(self, group: str, events: Sequence[StoredEvent]) -> list[str]:
        """Takes events in order; for each an empty text when it is done, else why not.

        An exception means that the group could not be reached: nothing is known of the events.
        """
        ...


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an event is tried (`attempts`) and how long to wait between: doubling from `first` to `longest`
    seconds.
    """

    attempts: int = 6
    first: float = 0.2
    longest: float = 10.0

    def pause(self, failures: int) -> float:
        """Seconds after the given number of failures (1 or more)."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 20))


@dataclass(slots=True, eq=False)
class Item:
    """An event in the works of a relay. `open` counts the groups that are not done with it; `letter`: it comes from the
    group's dead letters.
    """

    event: StoredEvent
    slot: int
    fence: int
    open: int = 0
    letter: bool = False


class Outcome(Protocol):
    """What a line tells its relay."""

    def holds(self, item: Item) -> bool:
        """Whether the relay may still deliver the item."""
        ...

    def done(self, group: str, item: Item) -> None: ...

    def parked(self, group: str, item: Item, attempts: int, error: str) -> None:
        """The item failed for the last time (`attempts` above 0), or waits behind one that did (0)."""
        ...

    def forgotten(self, group: str, item: Item) -> None:
        """The item belongs to a lease that was lost."""
        ...


@dataclass(slots=True)
class _Queue:
    items: deque[Item] = field(default_factory=deque)
    failures: int = 0


class Line:
    """Delivers to one group.

    Args:
        chunk: The most events of one delivery.
        concurrency: The most deliveries at once.
    """

    def __init__(
        self,
        group: str,
        sink: Sink,
        outcome: Outcome,
        *,
        retry: Retry,
        chunk: int = CHUNK,
        concurrency: int = CONCURRENCY,
    ) -> None:
        self.group = group
        self._sink = sink
        self._outcome = outcome
        self._retry = retry
        self._chunk = chunk
        self._concurrency = concurrency
        self._queues: dict[str, _Queue] = {}
        self._ready: deque[str] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._misses = 0
        self._stopping = False

    def offer(self, item: Item) -> None:
        """Puts an item behind those of its aggregate; `go` sets off the delivery."""
        subject = item.event.meta.subject
        queue = self._queues.get(subject)
        if queue is None:
            queue = self._queues[subject] = _Queue()
            self._ready.append(subject)
        queue.items.append(item)

    def go(self) -> None:
        while self._ready and len(self._workers) < self._concurrency and not self._stopping:
            if len(self._workers) * self._chunk >= len(self._ready):
                return
            worker = asyncio.get_running_loop().create_task(self._work(), name=f"tricorn.events.line.{self.group}")
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Waits for the deliveries under way and starts no other."""
        self._stopping = True
        for timer in self._timers:
            timer.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            _log.error("delivery ended by a defect", group=self.group, exc_info=error)
        self.go()

    async def _work(self) -> None:
        while self._ready and not self._stopping:
            taken = self._take()
            if not taken:
                continue
            events = [item.event for items in taken.values() for item in items]
            try:
                results = await self._sink.deliver(self.group, events)
            except Exception as error:  # noqa: BLE001 - whatever it is, the group cannot be reached
                self._unreachable(taken, error)
                continue
            self._misses = 0
            found = dict(zip((event.meta.id for event in events), results, strict=True))
            for subject, items in taken.items():
                self._settle(subject, items, found)

    def _take(self) -> dict[str, list[Item]]:
        taken: dict[str, list[Item]] = {}
        room = self._chunk
        while room > 0 and self._ready:
            subject = self._ready.popleft()
            items = self._queues[subject].items
            if not all(map(self._outcome.holds, items)):
                self._forget(subject)
                continue
            # A failed event is repeated alone: the others of its aggregate would only be left again.
            wanted = 1 if self._queues[subject].failures else room
            taken[subject] = [items[index] for index in range(min(wanted, len(items)))]
            room -= len(taken[subject])
        return taken

    def _settle(self, subject: str, items: list[Item], results: dict[str, str]) -> None:
        queue = self._queues[subject]
        for item in items:
            if not self._outcome.holds(item):
                self._forget(subject)
                return
            error = results[item.event.meta.id]
            if error:
                self._failed(subject, item, error)
                return
            queue.items.popleft()
            queue.failures = 0
            self._outcome.done(self.group, item)
        self._again(subject)

    def _failed(self, subject: str, item: Item, error: str) -> None:
        queue = self._queues[subject]
        if error.partition(":")[0] in NOT_NOW:
            self._later(subject, self._retry.longest / 4)
            return
        queue.failures += 1
        if queue.failures < self._retry.attempts:
            self._later(subject, self._retry.pause(queue.failures))
            return
        del self._queues[subject]
        for waiting in queue.items:
            self._outcome.parked(self.group, waiting, queue.failures if waiting is item else 0, error)

    def _unreachable(self, taken: dict[str, list[Item]], error: Exception) -> None:
        self._misses += 1
        pause = self._retry.pause(self._misses)
        _log.warning("group not reached", group=self.group, misses=self._misses, pause=pause, error=repr(error))
        for subject in taken:
            self._later(subject, pause)

    def _later(self, subject: str, seconds: float) -> None:
        def ripe() -> None:
            self._timers.discard(timer)
            self._again(subject)
            self.go()

        timer = asyncio.get_running_loop().call_later(seconds, ripe)
        self._timers.add(timer)

    def _again(self, subject: str) -> None:
        if self._queues[subject].items:
            self._ready.append(subject)
        else:
            del self._queues[subject]

    def _forget(self, subject: str) -> None:
        for item in self._queues.pop(subject).items:
            self._outcome.forgotten(self.group, item)
