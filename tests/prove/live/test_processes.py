"""Shadow with a candidate in another process, which is stopped, killed and started again while callers notice nothing."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from probes import ADD, CONTRACT, Answers, messages, server

from tricorn.prove.figures import Comparisons, Figures, Pairing, read_comparisons
from tricorn.prove.proving import Proving
from tricorn.telemetry import CallStats
from tricorn.wire import Bindings, Endpoints, Service, Wire
from tricorn.wire.bindings import Binding, Shadow

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SECONDS = 30.0


class Candidate:
    def __init__(self, generated: Path, folder: Path) -> None:
        self._generated = generated
        self.address = f"unix:{folder}/c"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(HERE / "candidate.py"),
            self.address,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self._generated), str(HERE), *sys.path])},
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            assert await self.process.stdout.readline() == b"ready\n"

    async def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(how)
            if how is signal.SIGKILL:
                await self.process.wait()


class System:
    """A process that calls, with the reference in it, and a candidate outside."""

    def __init__(self, candidate: Candidate, home: Path) -> None:
        self.candidate = candidate
        self.home = home
        service = Service(CallStats())
        service.add(server(Answers()))
        binding = Binding(CONTRACT, generation=1, shadow=Shadow("rust", 10_000))
        self.endpoints = Endpoints(
            service, {CONTRACT: {"rust": [candidate.address]}}, bindings=Bindings(1, {CONTRACT: binding})
        )
        self.wire = Wire(self.endpoints)
        self.proving = Proving(home, "shop", self.wire, self.endpoints)

    async def add(self, number: int) -> float:
        """Seconds that a caller waits."""
        began = time.perf_counter()
        assert (await self.wire.call(ADD, messages().AddRequest(numbers=[number]))).sum == number
        return time.perf_counter() - began

    async def until(self, holds: Callable[[Figures], bool]) -> Figures:
        """The figures, once they are as a test waits for."""
        async with asyncio.timeout(SECONDS):
            while not holds(figures := self.found.of(Pairing(ADD, "rust"))):
                await self.proving.shadow.idle()
                await asyncio.sleep(0)
        return figures

    @property
    def found(self) -> Comparisons:
        return self.proving.found


@pytest.fixture
async def system(generated: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    candidate = Candidate(generated, tmp_path_factory.mktemp("c"))
    await candidate.start()
    system = System(candidate, tmp_path)
    await system.proving.look()
    yield system
    await candidate.end()
    await system.proving.shadow.close()
    await system.endpoints.close()


async def test_a_candidate_that_is_stopped_costs_callers_nothing(system: System) -> None:
    await system.add(1)
    await system.until(lambda figures: figures.same == 1)
    await system.candidate.end(signal.SIGSTOP)

    # A caller that waited for the copy would wait for its deadline, a second.
    waited = [await system.add(number) for number in range(8)]
    figures = await system.until(lambda figures: sum(figures.incomparable.values()) == 8)
    assert system.candidate.process is not None
    system.candidate.process.send_signal(signal.SIGCONT)
    await system.add(1)

    assert sorted(waited)[4] < 0.5
    assert figures.incomparable == {"candidate timed out": 8}
    await system.until(lambda figures: figures.same == 2)


async def test_a_candidate_that_is_gone_is_found_again(system: System) -> None:
    await system.candidate.end()
    await system.add(1)
    figures = await system.until(lambda figures: bool(figures.incomparable))
    assert figures.incomparable == {"candidate unavailable": 1}

    await system.candidate.start()
    async with asyncio.timeout(SECONDS):
        while not system.found.of(Pairing(ADD, "rust")).same:
            await system.add(2)
            await system.proving.shadow.idle()

    assert system.found.of(Pairing(ADD, "rust")).different == 0


async def test_the_background_attaches_writes_counts_the_candidates_cpu_and_leaves_nothing(system: System) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(system.proving.run(stop))
    written: Any = Comparisons()
    async with asyncio.timeout(SECONDS):
        while not written.candidate_cpu or not next(iter(written.candidate_cpu.values())).calls:
            for number in range(50):
                await system.add(number)
            await asyncio.sleep(0.2)
            written = read_comparisons(system.home, CONTRACT)

    stop.set()
    await asyncio.wait_for(running, SECONDS)

    assert list(written.candidate_cpu) == [f"{CONTRACT} rust"]
    cpu = written.candidate_cpu[f"{CONTRACT} rust"]
    assert cpu.each is not None
    assert 0 < cpu.each < 0.1
    assert system.wire.taps == []
    assert written.pairings[Pairing(ADD, "rust")].same > 0
