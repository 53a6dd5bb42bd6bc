"""Whether a history is strictly serialisable: by the algorithm of Wing & Gong with Lowe's memory of what was tried.

A history is strictly serialisable when its operations can be put in one order in which each has the outcome that it had, and in which
none comes before another that had ended when it began. An operation whose outcome nobody knows, and what an implementation does by itself, may
stand anywhere after its beginning, or nowhere.

G. Lowe, "Testing for linearizability", 2017; J. Wing and C. Gong, "Testing and verifying concurrent objects", 1993.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tricorn.prove.effects.operation import Operation

MOST_TRIED = 40_000
"""Pairs of operations done and state that are looked at before a history is given up as undecided."""

Step = Callable[[Any, Operation], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``possible`` is None when the search was given up. ``reached`` are the operations of the longest order that was found; ``stuck`` those
    that had to come next, and could not.
    """

    possible: bool | None
    tried: int
    reached: tuple[Operation, ...] = ()
    stuck: tuple[Operation, ...] = ()


def judge(initial: Any, history: Sequence[Operation], step: Step, most: int = MOST_TRIED) -> Verdict:
    """Looks for an order.

    Args:
        initial: The model's state before; hashable, as are all that ``step`` gives.
        history: What happened, in any order.
        step: The model; see `application.Window.step`.
        most: After so many tries nothing is decided.
    """
    order = sorted(history, key=lambda each: (each.start, each.end))
    needed = sum(1 << number for number, each in enumerate(order) if each.known)
    stack: list[tuple[int, Any, tuple[int, ...]]] = [(0, initial, ())]
    seen = {(0, initial)}
    best: tuple[int, int, tuple[int, ...]] = (-1, 0, ())
    while stack:
        done, state, path = stack.pop()
        if done & needed == needed:
            return Verdict(possible=True, tried=len(seen))
        if (reach := (done & needed).bit_count()) > best[0]:
            best = (reach, done, path)
        # Pushed last to first, so that the one that began first is tried first.
        for number in reversed(_next(order, done)):
            for after in step(state, order[number]):
                key = (done | 1 << number, after)
                if key not in seen:
                    seen.add(key)
                    stack.append((*key, (*path, number)))
        if len(seen) > most:
            return Verdict(possible=None, tried=len(seen))
    _, done, path = best
    stuck = tuple(order[number] for number in _next(order, done) if order[number].known)
    return Verdict(possible=False, tried=len(seen), reached=tuple(order[number] for number in path), stuck=stuck)


def _next(order: Sequence[Operation], done: int) -> list[int]:
    """The operations that may come next: none that is still to come had ended before they began."""
    first_end = min((each.end for number, each in enumerate(order) if not done >> number & 1), default=0.0)
    found = []
    for number, each in enumerate(order):
        if each.start > first_end:
            break
        if not done >> number & 1:
            found.append(number)
    return found
