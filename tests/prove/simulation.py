"""How often the test of `tricorn.prove.sequential` is wrong, by simulation: `python tests/prove/simulation.py [RUNS]` prints the table of the
decision 0024.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tricorn.prove.sequential import Count, Watch

SEED = 20261121
ALPHA = 0.01
ERRORS = (0.005, math.inf)  # tolerance, and the most that one look may add
SLOW = (0.05, 3.0)

Rates = Callable[[int], tuple[float, float]]  # of the candidate and of the reference in a batch


@dataclass(frozen=True)
class Found:
    """Of `runs` runs: after how many of the candidate's calls the alarm came, where it did, in rising order."""

    runs: int
    times: tuple[int, ...]

    @property
    def share(self) -> float:
        return len(self.times) / self.runs

    def within(self, calls: int) -> float:
        """The share of the runs with an alarm by then."""
        return sum(time <= calls for time in self.times) / self.runs

    def quantile(self, share: float) -> float:
        """The time that a share of the alarms had come by; without any it is not a number."""
        return self.times[min(len(self.times) - 1, int(len(self.times) * share))] if self.times else math.nan


def simulate(
    rates: Rates, limits: tuple[float, float], *, runs: int, looks: int, calls: tuple[float, float], seed: int = SEED
) -> Found:
    """Watch `runs` made-up cutovers, looking after each of `looks` batches; `calls` is the mean of candidate and reference in one."""
    chance = random.Random(seed)  # noqa: S311 - made-up calls, the same each time
    times = []
    for _ in range(runs):
        watch = Watch(limits[0], ALPHA, limits[1], expected=Count(500, round(500 * rates(0)[1])))
        seen = 0
        for look in range(looks):
            of_candidate, of_reference = rates(look)
            candidate = draw(chance, calls[0], of_candidate)
            seen += candidate.calls
            if watch.look(candidate, draw(chance, calls[1], of_reference)):
                times.append(seen)
                break
    return Found(runs, tuple(sorted(times)))


def draw(chance: random.Random, mean: float, rate: float) -> Count:
    """A batch: about `mean` calls (Poisson), each a hit with probability `rate`."""
    calls, left = 0, math.exp(-mean) if mean < 50 else 0.0
    if left:
        product = chance.random()
        while product > left:
            calls += 1
            product *= chance.random()
    else:
        calls = max(0, round(chance.gauss(mean, math.sqrt(mean))))
    return Count(calls, sum(chance.random() < rate for _ in range(calls)))


def steady(candidate: float, reference: float) -> Rates:
    return lambda _look: (candidate, reference)


def drifting(tolerance: float, low: float, high: float) -> Rates:
    """Both rates swing together, the candidate's always above by all that is tolerated."""

    def at(look: int) -> tuple[float, float]:
        reference = low + (high - low) * (1 + math.sin(look / 9)) / 2
        return reference + tolerance, reference

    return at


def late(good: float, bad: float, reference: float, after: int) -> Rates:
    return lambda look: (good if look < after else bad, reference)


NULLS: dict[str, tuple[Rates, tuple[float, float]]] = {
    "errors: both 0.1 %": (steady(0.001, 0.001), ERRORS),
    "errors: both 2 %": (steady(0.02, 0.02), ERRORS),
    "errors: 0.1 % and 0.6 %, all that is tolerated": (steady(0.006, 0.001), ERRORS),
    "errors: all that is tolerated, both swing from 0.1 % to 30 %": (drifting(0.005, 0.001, 0.3), ERRORS),
    "slow: both 5 %": (steady(0.05, 0.05), SLOW),
    "slow: 5 % and 10 %, all that is tolerated": (steady(0.1, 0.05), SLOW),
    "slow: all that is tolerated, both swing from 2 % to 80 %": (drifting(0.05, 0.02, 0.8), SLOW),
}

BAD: dict[str, tuple[Rates, tuple[float, float]]] = {
    "errors: 0.1 % and 1 %": (steady(0.01, 0.001), ERRORS),
    "errors: 0.1 % and 2 %": (steady(0.02, 0.001), ERRORS),
    "errors: 0.1 % and 5 %": (steady(0.05, 0.001), ERRORS),
    "errors: 0.1 % and 20 %": (steady(0.2, 0.001), ERRORS),
    "errors: 0.1 % and 100 %": (steady(1.0, 0.001), ERRORS),
    "errors: 0.1 % and 5 %, only after 100 good looks": (late(0.001, 0.05, 0.001, 100), ERRORS),
    "slow: 5 % and 15 %": (steady(0.15, 0.05), SLOW),
    "slow: 5 % and 20 %": (steady(0.2, 0.05), SLOW),
    "slow: 5 % and 40 %": (steady(0.4, 0.05), SLOW),
    "slow: 5 % and 100 %": (steady(1.0, 0.05), SLOW),
    "slow: 5 % and 40 %, only after 100 good looks": (late(0.05, 0.4, 0.05, 100), SLOW),
}


def main(runs: int) -> None:
    say = sys.stdout.write
    say(f"{runs} runs each, 200 looks, alpha {ALPHA}, 20 of the candidate's calls and 60 of the reference's a look\n")
    say("\n| nothing is wrong | runs with an alarm |\n| --- | --- |\n")
    for name, (rates, limits) in NULLS.items():
        found = simulate(rates, limits, runs=runs, looks=200, calls=(20, 60))
        say(f"| {name} | {found.share:.2%} |\n")
    say("\n| something is wrong | by 200 calls | by 1,000 | by 4,000 | median | nine in ten |\n")
    say("| --- | --- | --- | --- | --- | --- |\n")
    for name, (rates, limits) in BAD.items():
        found = simulate(rates, limits, runs=runs, looks=200, calls=(20, 60))
        shares = " | ".join(f"{found.within(calls):.1%}" for calls in (200, 1000, 4200))
        say(f"| {name} | {shares} | {found.quantile(0.5):.0f} | {found.quantile(0.9):.0f} |\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
