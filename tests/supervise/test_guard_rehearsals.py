"""Moves for a rehearsal, and the promise to bind again what was bound before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.supervise.guarding import Bench
from tests.supervise.traffic import PRICES

from tricorn.supervise.errors import SuperviseError


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


async def test_no_cutover_begins_during_a_rehearsal(bench: Bench) -> None:
    await bench.guard.rehearse({"target": PRICES, "to": "rust"})

    with pytest.raises(SuperviseError, match="being moved already"):
        await bench.run()
