"""Answers that may be given again, as the policy of a method allows.

Whoever changes something through this gateway reads it back at once: an answer counts for a caller only if the question
to the backend began after the caller's last call with effects had ended. So one shared entry serves everyone else while
it is still good. An answer is good as long as the implementations that made it are bound: a move, or a way back, leaves
what they said before behind.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

_FORGET_WRITES_ABOVE = 10_000


@dataclass(slots=True)
class Entry:
    """An answer: its bytes, what they are, when they were asked for (on the cache's clock, seconds), and under which bindings."""

    body: bytes
    content_type: str
    etag: str | None
    began: float
    expires: float = 0.0
    packed: bytes | None = None
    generation: int = 0

    @property
    def size(self) -> int:
        """Bytes, packed form included whether it is there yet or not."""
        return 2 * len(self.body) + 512


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Entry]
    began: float
    generation: int


class AnswerCache:
    """A bounded cache that lets one question at a time go to the backend for each key.

    Args:
        clock: Seconds.
        entries: The most answers that it keeps.
        size: The most bytes.
        longest_ttl: Seconds that any answer may be kept.
        generation: That of the bindings that hold now. An answer may rest on many contracts, so any change ends it.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        entries: int,
        size: int,
        longest_ttl: float,
        generation: Callable[[], int] = int,
    ) -> None:
        self._clock = clock
        self._generation = generation
        self._most_entries = entries
        self._most_bytes = size
        self._longest_ttl = longest_ttl
        self._entries: OrderedDict[tuple[Any, ...], Entry] = OrderedDict()
        self._bytes = 0
        self._flights: dict[tuple[Any, ...], _Flight] = {}
        self._writes: dict[str, float] = {}

    def wrote(self, user_id: str) -> None:
        """A call of the user that has effects ended, however it ended."""
        self._writes[user_id] = self._clock()
        if len(self._writes) > _FORGET_WRITES_ABOVE:
            # A write older than every entry can be holds nothing back any more; a call takes at most a minute.
            oldest = self._clock() - self._longest_ttl - 60.0
            self._writes = {user: when for user, when in self._writes.items() if when > oldest}

    def clear(self) -> None:
        """Forgets every answer, those still on their way included."""
        self._entries.clear()
        self._flights.clear()
        self._bytes = 0

    def find(self, key: tuple[Any, ...], user_id: str | None) -> Entry | None:
        """A good answer for this caller, if there is one."""
        entry = self._entries.get(key)
        if entry is None or entry.expires <= self._clock() or entry.began <= self._since(user_id):
            return None
        if entry.generation != self._generation():
            return None
        self._entries.move_to_end(key)
        return entry

    async def fetch(
        self, key: tuple[Any, ...], ttl: float, user_id: str | None, ask: Callable[[], Awaitable[Entry]]
    ) -> Entry:
        """Asks, or waits for somebody else's question that is good enough for this caller. A failure is nobody's to
        keep.
        """
        flight = self._flights.get(key)
        generation = self._generation()
        if flight is None or flight.began <= self._since(user_id) or flight.generation != generation:
            began = self._clock()
            task = asyncio.create_task(self._ask(key, ttl, began, generation, ask))
            task.add_done_callback(_look_at)
            flight = self._flights[key] = _Flight(task, began, generation)
        return await asyncio.shield(flight.task)

    def _since(self, user_id: str | None) -> float:
        return float("-inf") if user_id is None else self._writes.get(user_id, float("-inf"))

    async def _ask(
        self, key: tuple[Any, ...], ttl: float, began: float, generation: int, ask: Callable[[], Awaitable[Entry]]
    ) -> Entry:
        try:
            entry = await ask()
        finally:
            current = self._flights.get(key)
            wanted = current is not None and (current.began, current.generation) == (began, generation)
            if wanted:
                del self._flights[key]
        entry.began = began
        entry.expires = began + ttl
        entry.generation = generation
        if wanted:
            self._keep(key, entry)
        return entry

    def _keep(self, key: tuple[Any, ...], entry: Entry) -> None:
        replaced = self._entries.pop(key, None)
        if replaced is not None:
            self._bytes -= replaced.size
        if entry.size > self._most_bytes // 8:
            return
        self._entries[key] = entry
        self._bytes += entry.size
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            _, dropped = self._entries.popitem(last=False)
            self._bytes -= dropped.size


def _look_at(task: asyncio.Task[Entry]) -> None:
    """Takes note of a failure that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
