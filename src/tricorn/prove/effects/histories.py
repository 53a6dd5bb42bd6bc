"""Records what several callers do at once on the same rows, and has it judged: by the application's sequential model, window by window, and by
its invariants all the time.

A *mode* is the implementations that answer: the reference alone, the candidate alone, or both on the same database, each call going to one
of them by lot.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tricorn.contract import MethodPolicy
from tricorn.prove.effects.application import Ask, Window
from tricorn.prove.effects.comparing import Answers
from tricorn.prove.effects.operation import Operation, came_of
from tricorn.prove.effects.serial import Verdict, judge
from tricorn.prove.effects.state import Tables
from tricorn.prove.reference import Request

AT_ONCE = 8
"""Windows that are played at once."""

MOST_CALLS = 40
"""Of one caller: ends a window whose callers never have enough."""

_LOOK_SECONDS = 0.1
_MOST_KEPT = 3
"""Broken invariants."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A window that cannot have happened."""

    mode: str
    number: int
    history: tuple[Operation, ...]
    verdict: Verdict


@dataclass(slots=True)
class ModeFound:
    """Counts over the windows of one mode. ``overlapping`` are pairs of calls of one window that overlapped in time, ``across`` those of them
    that two implementations answered; ``looks`` is how often the invariants were looked at.
    """

    windows: int = 0
    calls: int = 0
    overlapping: int = 0
    across: int = 0
    unknown: int = 0
    undecided: int = 0
    impossible: int = 0
    looks: int = 0
    broken: list[str] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        return not (self.impossible or self.undecided or self.broken)


class Historian:
    """Plays and judges windows on one database.

    Args:
        make: The application's; given a random, it makes a window.
        policies: The methods, by name.
        tables: Of the database that all implementations here share.
        invariants: Queries that never give a row.
        seed: Of the windows and of what their callers do; what they are answered depends on the moment.
    """

    def __init__(
        self,
        make: Callable[[random.Random], Window],
        policies: Mapping[str, MethodPolicy],
        tables: Tables,
        invariants: Sequence[str],
        seed: int,
    ) -> None:
        self._make = make
        self._policies = policies
        self._tables = tables
        self._invariants = invariants
        self._seed = seed

    async def record(
        self, mode: str, answers: Mapping[str, Answers], windows: int, step: Callable[[int], None] | None = None
    ) -> ModeFound:
        """Plays so many windows; ``answers`` are the implementations by name."""
        found = ModeFound()
        began = time.monotonic()
        numbers = range(windows)
        watching = asyncio.create_task(self._watch(found))
        try:
            for first in range(0, windows, AT_ONCE):
                group = numbers[first : first + AT_ONCE]
                made = {number: self._window(mode, number) for number in group}
                await self._tables.put(window.rows for window, _ in made.values())
                histories = await asyncio.gather(*(self._play(window, rng, answers) for window, rng in made.values()))
                for number, history in zip(group, histories, strict=True):
                    await asyncio.sleep(0)
                    self._judge(mode, number, made[number][0], history, found)
                    if not found.holds:
                        break
                await self._look(found)
                if step is not None:
                    step(found.windows)
                if not found.holds:
                    break  # one is enough
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            found.seconds = time.monotonic() - began
        return found

    def _window(self, mode: str, number: int) -> tuple[Window, random.Random]:
        rng = random.Random(f"{self._seed}/{mode}/{number}")  # noqa: S311 - repeatable, not secret
        return self._make(rng), rng

    async def _play(self, window: Window, rng: random.Random, answers: Mapping[str, Answers]) -> list[Operation]:
        history: list[Operation] = []
        seeds = [rng.getrandbits(32) for _ in range(window.callers)]
        await asyncio.gather(
            *(self._caller(number, window, seed, answers, history) for number, seed in enumerate(seeds))
        )
        for ask in window.last(history):
            await self._call(window.callers, ask, rng, answers, history)
        return history

    async def _caller(
        self, number: int, window: Window, seed: int, answers: Mapping[str, Answers], history: list[Operation]
    ) -> None:
        rng = random.Random(seed)  # noqa: S311 - likewise
        for _ in range(MOST_CALLS):
            ask = window.ask(rng, number, history)
            if ask is None:
                return
            await self._call(number, ask, rng, answers, history)

    async def _call(
        self,
        caller: int,
        ask: Ask,
        rng: random.Random,
        answers: Mapping[str, Answers],
        history: list[Operation],
    ) -> None:
        if ask.after > 0:
            await asyncio.sleep(ask.after)
        policy = self._policies[ask.method]
        by = rng.choice(sorted(answers))
        request = Request(policy.full_name, ask.request.SerializeToString(deterministic=True))
        begun = Operation(caller, policy.name, time.time(), by=by, request=ask.request)
        outcome = await answers[by].ask(policy, request)
        history.append(came_of(begun, policy, time.time(), outcome))

    @staticmethod
    def _judge(mode: str, number: int, window: Window, history: Sequence[Operation], found: ModeFound) -> None:
        everything = (*history, *window.background(history))
        verdict = judge(window.initial, everything, window.step)
        found.windows += 1
        found.calls += len(history)
        found.unknown += sum(not each.known for each in history)
        pairs = [
            (one, other)
            for at, one in enumerate(history)
            for other in history[:at]
            if one.known and other.known and one.overlaps(other)
        ]
        found.overlapping += len(pairs)
        found.across += sum(one.by != other.by for one, other in pairs)
        found.undecided += verdict.possible is None
        if verdict.possible is False:
            found.impossible += 1
            found.failed.append(Failed(mode, number, tuple(history), verdict))

    async def _watch(self, found: ModeFound) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look(found)

    async def _look(self, found: ModeFound) -> None:
        found.looks += 1
        found.broken += (await self._tables.broken(self._invariants))[: _MOST_KEPT - len(found.broken)]
