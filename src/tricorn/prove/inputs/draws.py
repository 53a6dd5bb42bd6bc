"""Where the choices of a generated message come from: a seeded random generator, or Hypothesis, which can shrink them."""

import random
from collections.abc import Sequence
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Draws(Protocol):
    """Choices. Of equally good ones the first or smallest should come first: that is what shrinking goes towards."""

    def between(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        ...

    def chance(self, percent: int) -> bool:
        """True so often."""
        ...

    def pick(self, choices: Sequence[_T]) -> _T: ...

    def real(self) -> float:
        """A float in [0, 1)."""
        ...


class RandomDraws:
    """Choices of a `random.Random`; repeatable by its seed, and fast."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.real = rng.random

    def between(self, low: int, high: int) -> int:
        width = high - low + 1
        # A float has 53 bits, which is far quicker than an exact range and enough for all but the widest.
        return low + int(self.real() * width) if width < 1 << 48 else self.rng.randint(low, high)

    def chance(self, percent: int) -> bool:
        return self.real() * 100 < percent

    def pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self.real() * len(choices))]
