"""Moves for a rehearsal, and the promise to bind again what was bound before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.supervise.guarding import Bench
from tests.supervise.traffic import PRICES

from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home
from tricorn.supervise.operators import Operators


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    async with asyncio.timeout(60):
        yield bench
        await bench.guard.close()


async def test_a_rehearsal_moves_there_and_back_and_leaves_what_was_bound(bench: Bench) -> None:
    bench.bind(PRICES, {"rust": 2500})

    for to, share in (("python", 0), ("rust", 10_000), ("python", 0), ("before", 2500)):
        await bench.guard.rehearse({"target": PRICES, "to": to, "facts": {"language": "rust"}})
        assert bench.held.share == share

    assert (bench.held.by, bench.held.auto) == ("operator", False)
    assert bench.events == ["bound", "rehearsed"]


async def test_a_rehearsal_that_a_kill_interrupted_is_undone_at_the_next_start(bench: Bench) -> None:
    bench.bind(PRICES, {"rust": 10_000}, "grow", auto=True)
    await bench.guard.rehearse({"target": PRICES, "to": "python"})
    again = Bench(bench.home)

    again.guard.recover()

    assert (again.held.share, again.held.by, again.held.auto) == (10_000, "grow", True)


async def test_without_evidence_nothing_is_rehearsed_on_those_who_call(bench: Bench) -> None:
    bench.refused = "price is not shown to be the same in rust"

    with pytest.raises(SuperviseError, match="not shown to be the same"):
        await bench.guard.rehearse({"target": PRICES, "to": "python", "language": "rust"})

    assert bench.writer.written == []


async def test_what_an_operator_binds_during_a_rehearsal_stays(bench: Bench) -> None:
    bench.bind(PRICES, {"rust": 10_000}, "grow", auto=True)
    await bench.guard.rehearse({"target": PRICES, "to": "python"})
    await bench.guard.rehearse({"target": PRICES, "to": "rust"})

    bench.bind(PRICES, {})
    with pytest.raises(SuperviseError, match="bound by operator in between"):
        await bench.guard.rehearse({"target": PRICES, "to": "rust"})
    await bench.guard.rehearse({"target": PRICES, "to": "before"})

    assert (bench.held.share, bench.held.by, bench.held.auto) == (0, "operator", False)


async def test_what_is_given_back_to_the_platform_during_a_rehearsal_is_the_platform_s(bench: Bench) -> None:
    await bench.guard.rehearse({"target": PRICES, "to": "rust"})

    await Operators(Home(bench.home), bench.writer).bind({"target": PRICES, "implementation": "auto"})
    await bench.guard.rehearse({"target": PRICES, "to": "before"})

    assert (bench.held.share, bench.held.auto, dict(bench.held.record)) == (10_000, True, {})


async def test_a_rehearsal_whose_end_cannot_be_written_is_ended_by_the_next_start_at_the_latest(bench: Bench) -> None:
    await bench.guard.rehearse({"target": PRICES, "to": "rust"})
    path = bench.home / "bindings.json"
    kept = path.rename(bench.home / "aside")
    path.mkdir()  # as a full disk: nothing can take its place

    with pytest.raises(SuperviseError, match="cannot be used"):
        await bench.guard.rehearse({"target": PRICES, "to": "before"})
    await bench.guard.close()
    path.rmdir()
    kept.rename(path)
    again = Bench(bench.home)

    assert again.guard.recover() == [PRICES]
    assert again.held.share == 0


async def test_no_cutover_begins_during_a_rehearsal(bench: Bench) -> None:
    await bench.guard.rehearse({"target": PRICES, "to": "rust"})

    with pytest.raises(SuperviseError, match="being moved already"):
        await bench.run()
