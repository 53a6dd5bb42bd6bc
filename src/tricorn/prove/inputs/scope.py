"""What the fields of one message share while it is drawn."""

from collections.abc import Callable
from typing import Any

from tricorn.prove.inputs.draws import Draws
from tricorn.prove.inputs.seen import Seen, family

LONGEST = (2, 5, 12, 50)
"""How many entries a repeated field has at most in a tiny, small, medium and large message, if its rules allow so many."""

_SIZES = (*(0,) * 20, *(1,) * 42, *(2,) * 35, *(3,) * 3)
_POOL = 6
_MOST_INSIDE = 400
"""Messages inside one message, about: with lists of messages that hold lists of messages it would not end soon."""


class Scope:
    """Makes the ids of one message meet: those of one family (see `family`) are drawn from one small pool."""

    __slots__ = ("distinct", "draws", "left", "longest", "pools", "seen", "size", "taken")

    def __init__(self, draws: Draws, seen: Seen, size: int | None = None) -> None:
        self.draws = draws
        self.seen = seen
        self.size = draws.pick(_SIZES) if size is None else size
        self.longest = LONGEST[self.size]
        self.left = _MOST_INSIDE
        self.distinct = draws.chance(93)
        self.pools: dict[tuple[str, type], list[Any]] = {}
        self.taken: dict[tuple[str, type], int] = {}


class Shared:
    """Draws for one field from the pool of its family, which begins with values that were seen.

    A field that names one (``product_id``) takes the next of the pool, since most contracts want each once; one that lists
    (``product_ids``) or points (``group``) takes any. In one message of fourteen they may come twice.
    """

    __slots__ = ("_fits", "_key", "_make", "_names_one", "_seen")

    def __init__(self, name: str, kind: type, fits: Callable[[Any], bool], make: Callable[[Draws], Any]) -> None:
        self._key = (family(name), kind)
        self._fits = fits
        self._make = make
        self._names_one = name.endswith("id")
        self._seen: tuple[Seen, list[Any]] | None = None

    def draw(self, scope: Scope) -> Any:
        pool = scope.pools.get(self._key)
        if pool is None:
            pool = scope.pools[self._key] = self._new_pool(scope)
        if self._names_one and scope.distinct:
            index = scope.taken.get(self._key, 0)
            scope.taken[self._key] = index + 1
            while index >= len(pool):
                value = self._make(scope.draws)
                if value in pool and self._fits(f"{value}{len(pool)}"):
                    value = f"{value}{len(pool)}"
                pool.append(value)
            chosen = pool[index]
        else:
            chosen = scope.draws.pick(pool)
        # The pool may hold what another field of the family allows and this one does not.
        return chosen if self._fits(chosen) else self._make(scope.draws)

    def _new_pool(self, scope: Scope) -> list[Any]:
        draws = scope.draws
        if self._seen is None or self._seen[0] is not scope.seen:
            values = scope.seen.values(*self._key)
            self._seen = (scope.seen, [value for value in values if self._fits(value)])
        seen = self._seen[1]
        begin = draws.between(0, len(seen) - 1) if seen and draws.chance(50) else len(seen)
        pool = list(dict.fromkeys((*seen[begin : begin + _POOL], *(self._make(draws) for _ in range(_POOL)))))
        return pool[:_POOL]
