"""What a candidate saves where the reference takes longest, said in a few words."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import TypeVar

TIMED = 20
"""So many of the inputs that took the reference longest are timed."""

_T = TypeVar("_T")


async def gain(timed: Sequence[tuple[float, _T]], ask: Callable[[_T], Awaitable[object]]) -> str:
    """Medians over the slowest inputs; empty when there are none.

    Args:
        timed: what the reference computed for each input, in seconds, the call left out.
        ask: puts an input to the candidate, while nothing else is asked; timed with the call.
    """
    slowest = sorted(timed, key=lambda each: each[0])[-TIMED:]
    if not slowest:
        return ""
    taken = []
    for _, asked in slowest:
        began = time.perf_counter()
        await ask(asked)
        taken.append(time.perf_counter() - began)
    before, after = median(seconds for seconds, _ in slowest), median(taken)
    return f"slowest {len(slowest)} inputs {_milliseconds(before)} -> {_milliseconds(after)}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"  # noqa: PLR2004 - two digits say enough
