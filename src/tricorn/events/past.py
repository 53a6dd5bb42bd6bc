"""What of a log was seen, so that a look at it costs what is new and not what came in the last minute.

Positions are given out before transactions commit, so an event may appear below the ones already seen, in a hole between
them, for as long as a transaction may take. A look asks for what follows the highest position, and for the holes.
"""

from collections import deque

MOST_HOLES = 256
"""So many places between known events are asked for one by one; events of other types are such places, too."""


class Past:
    """What was seen above `low`, up to which nothing can appear any more. Times are seconds on one clock."""

    def __init__(self, low: int, late_seconds: float) -> None:
        self._low = low
        self._high = low
        self._late_seconds = late_seconds
        self._seen: set[int] = set()
        self._order: deque[tuple[float, int]] = deque()
        self._holes: list[int] = []
        self._crowded: float | None = None
        """When there were last too many holes: until a look after their time all above `low` is read again."""

    def __len__(self) -> int:
        return len(self._seen)

    def unseen(self) -> tuple[int, list[int]]:
        """Where what was not seen may be: above a position, and at others below it."""
        if self._high <= self._low or self._crowded is not None:
            return self._low, []
        return self._high, list(self._holes)

    def add(self, position: int, now: float) -> bool:
        """Notes an event; whether it is new."""
        if position in self._seen or position <= self._low:
            return False
        self._seen.add(position)
        self._order.append((now, position))
        start = max(self._high, self._low) + 1
        self._high = max(self._high, position)
        if position - start > MOST_HOLES - len(self._holes):
            self._crowded = now
        else:
            self._holes += range(start, position)
        return True

    def forget(self, now: float) -> None:
        """Below an event seen long enough ago nothing can appear any more."""
        while self._order and now - self._order[0][0] > self._late_seconds:
            position = self._order.popleft()[1]
            self._low = max(self._low, position)
            self._seen.discard(position)
        self._holes = [hole for hole in self._holes if hole > self._low and hole not in self._seen]
        if self._crowded is not None and now - self._crowded > self._late_seconds:
            self._crowded = None
