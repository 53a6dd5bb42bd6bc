"""What the process with the Python gateway is told about the public port, and what it answers."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from tricorn.supervise.child import ProcessPlan
from tricorn.supervise.handover import FrontKeeper
from tricorn.supervise.home import Home
from tricorn.supervise.keeper import Surroundings
from tricorn.supervise.limits import Limits
from tricorn.supervise.progress import PipeProgress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FRONT = """
import json, os, sys, time

life, ready = (int(sys.argv[sys.argv.index(name) + 1]) for name in ("--life-fd", "--ready-fd"))
words = os.fdopen(life)
words.readline()
os.write(ready, b"ready\\n")
for line in words:
    time.sleep(0.1)
    os.write(ready, line.encode())
"""
"""A process that answers every word about the port, in its time."""


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[FrontKeeper]:
    home = Home(tmp_path)
    home.make()
    around = Surroundings(home, Limits(ready=5), PipeProgress(-1), lambda: None)
    keeper = FrontKeeper(ProcessPlan("core", (sys.executable, "-c", FRONT)), around)
    await keeper.begin()
    yield keeper
    await keeper.stop(0)


async def test_two_words_about_the_port_at_once_are_both_answered(front: FrontKeeper) -> None:
    await asyncio.gather(front.leave(), front.open(), front.leave())

    assert not front.wanted
