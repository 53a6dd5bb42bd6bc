"""A sample of mutants, each tried with the inputs of a verification."""

import asyncio
import multiprocessing
import pickle
import random
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tricorn.host import Manifest
from tricorn.prove.evidence import MutantsFound
from tricorn.prove.interrupt import taken_back
from tricorn.prove.mutants.equivalent import Claim
from tricorn.prove.mutants.plant import Mutant, mutants_of
from tricorn.prove.mutants.trial import ASKED, Trial, Verdict
from tricorn.prove.reference import Site
from tricorn.prove.sources import reference_files

SECONDS = 15.0
"""CPU for which a mutant that is not noticed is tried."""

_LOOKED_AT = 400
_KILLERS = 24


@dataclass(slots=True)
class Tried:
    """What became of a sample. ``never_entered`` are functions that none of the inputs reaches: mutants there are not among ``of``."""

    of: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    never_entered: list[str] = field(default_factory=list)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def killed(self) -> int:
        return sum(verdict.noticed for verdict in self.verdicts)

    @property
    def survivors(self) -> list[Verdict]:
        """Those that were not noticed and are not claimed to be equivalent."""
        return [each for each in self.verdicts if not each.noticed and each.mutant.name not in self.claims]

    @property
    def claimed(self) -> list[Verdict]:
        return [each for each in self.verdicts if not each.noticed and each.mutant.name in self.claims]

    @property
    def false_claims(self) -> list[Verdict]:
        return [each for each in self.verdicts if each.noticed and each.mutant.name in self.claims]

    def by_operator(self) -> dict[str, tuple[int, int]]:
        """For each operator how many were killed, and of how many."""
        planted, killed = Counter[str](), Counter[str]()
        for verdict in self.verdicts:
            planted[verdict.mutant.operator] += 1
            killed[verdict.mutant.operator] += verdict.noticed
        return {operator: (killed[operator], count) for operator, count in sorted(planted.items())}

    def found(self, root: Path) -> MutantsFound:
        """For the evidence; paths are relative to the application."""
        return MutantsFound(
            planted=len(self.verdicts),
            killed=self.killed,
            equivalent=len(self.claimed),
            of=self.of,
            survivors=[survivor_line(verdict.mutant, root) for verdict in self.survivors],
            never_entered=self.never_entered,
        )


def survivor_line(mutant: Mutant, root: Path) -> str:
    """Where a mutant is, and its name."""
    path = mutant.path.relative_to(root) if mutant.path.is_relative_to(root) else mutant.path
    return f"{path}:{mutant.line}: {mutant.name}"


class Campaign:
    """Plants faults in the reference of a contract.

    Args:
        sample: How many; None: all.
        asked: Inputs with what the reference said to them, quick ones first, as the trial takes them.
        workers: How many are tried at once, each in a process of its own.
        trial: How a mutant is tried.
    """

    def __init__(
        self,
        manifest: Manifest,
        site: Site,
        asked: Sequence[object],
        claims: Mapping[str, Claim],
        *,
        sample: int | None,
        seed: int,
        workers: int = 1,
        seconds: float = SECONDS,
        trial: Trial = ASKED,
    ) -> None:
        self._manifest = manifest
        self._site = site
        self._asked = asked
        self._sample = sample
        self._seed = seed
        self._workers = workers
        self._seconds = seconds
        self._trial = trial
        self._killers: deque[int] = deque(maxlen=_KILLERS)
        self.tried = Tried(claims=claims)

    async def run(self, step: Callable[[Tried, int], None] | None = None) -> Tried:
        """Tries the sample; when it is cancelled it returns with what it has."""
        with tempfile.TemporaryDirectory(prefix="tricorn-mutants-") as folder:
            inputs = Path(folder) / "inputs"
            inputs.write_bytes(pickle.dumps(list(self._asked)))
            pool = ProcessPoolExecutor(
                self._workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=self._trial.prepare,
                initargs=(self._site, inputs),
            )
            try:
                planned = await self._planned(pool)
                waiting = asyncio.Queue[Mutant]()
                for mutant in planned:
                    waiting.put_nowait(mutant)
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._workers):
                        group.create_task(self._try_each(pool, waiting, partial(self._say, step, len(planned))))
            except asyncio.CancelledError:
                self.tried.interrupted = True
                taken_back()
            finally:
                processes = list((pool._processes or {}).values())  # noqa: SLF001 - a mutant may never end by itself
                pool.shutdown(wait=False, cancel_futures=True)
                for process in processes:
                    process.terminate()
        return self.tried

    def _say(self, step: Callable[[Tried, int], None] | None, planned: int) -> None:
        if step is not None:
            step(self.tried, planned)

    async def _planned(self, pool: ProcessPoolExecutor) -> list[Mutant]:
        reached = {
            (path, name.replace(".<locals>", ""))
            for path, name in await asyncio.wrap_future(pool.submit(self._trial.entered, _LOOKED_AT))
        }
        files = reference_files(self._manifest, self._site.contract)
        everything = [mutant for module, path in files.items() for mutant in mutants_of(module, path)]
        worth, never = [], set()
        for mutant in everything:
            if self._is_reached(mutant, reached):
                worth.append(mutant)
            else:
                never.add(f"{mutant.module.rpartition('.')[2]}.{mutant.function}")
        self.tried.of = len(worth)
        self.tried.never_entered = sorted(never)
        if self._sample is None or self._sample >= len(worth):
            return worth
        chosen = random.Random(self._seed).sample(worth, self._sample)  # noqa: S311 - repeatable, not secret
        return sorted(chosen, key=lambda mutant: (mutant.module, mutant.number))

    def _is_reached(self, mutant: Mutant, reached: set[tuple[str, str]]) -> bool:
        """Whether its function is entered; what stands outside functions is loaded in any case."""
        return not mutant.in_function or (str(mutant.path), mutant.function) in reached

    async def _try_each(
        self, pool: ProcessPoolExecutor, waiting: "asyncio.Queue[Mutant]", done: Callable[[], None]
    ) -> None:
        while not waiting.empty():
            mutant = waiting.get_nowait()
            verdict = await asyncio.wrap_future(pool.submit(self._trial.attempt, mutant, self._order(), self._seconds))
            if verdict.input >= 0 and verdict.input not in self._killers:
                self._killers.appendleft(verdict.input)
            self.tried.verdicts.append(verdict)
            done()

    def _order(self) -> list[int]:
        """The inputs, those first that showed other mutants."""
        first = list(self._killers)
        return [*first, *(number for number in range(len(self._asked)) if number not in self._killers)]
