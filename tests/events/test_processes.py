"""Relays as processes of their own, killed and stopped at named points by real signals."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.events import ledger

from tricorn.events.lease import Leases

LEASE = 1.0


@contextmanager
def relay_process(db: Any, failpoints: str = "") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(ledger.__file__)), *db.urls, str(LEASE)]
    source = Path(ledger.__file__).parents[2] / "src"
    environment = {**os.environ, "TRICORN_FAILPOINTS": failpoints, "PYTHONPATH": str(source)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        try:
            yield run
        finally:
            run.kill()


async def stopped(process: subprocess.Popen[str]) -> None:
    """Returns when the process was stopped by a signal."""
    await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


async def settled(db: Any) -> None:
    """Returns when nothing is pending."""
    async with asyncio.timeout(20):
        while await db.shop.fetchval("SELECT count(*) FROM outbox_pending"):  # noqa: ASYNC110 - another process works
            await asyncio.sleep(0.05)


async def publish_many(db: Any) -> dict[str, list[int]]:
    for number in range(120):
        await ledger.publish(db.shop, f"order-{number % 20}", "v")
    return {f"order-{number}": list(range(1, 7)) for number in range(20)}


@pytest.mark.parametrize("point", ["events.fetched", "events.taken", "events.handled", "events.marking"])
async def test_a_relay_killed_at_any_point_loses_and_doubles_nothing(db: Any, point: str) -> None:
    expected = await publish_many(db)

    with relay_process(db, f"{point}=kill") as victim:
        assert await asyncio.to_thread(victim.wait, 20) == -signal.SIGKILL
    assert await db.shop.fetchval("SELECT count(*) FROM outbox_pending") > 0
    with relay_process(db):
        await settled(db)

    assert await ledger.effects(db.books) == expected


async def test_two_processes_one_of_them_killed_on_the_way_lose_and_double_nothing(db: Any) -> None:
    with relay_process(db) as victim, relay_process(db):
        assert victim.stdout is not None
        await asyncio.to_thread(victim.stdout.readline)
        publishing = asyncio.create_task(publish_many(db))
        async with asyncio.timeout(20):
            while not await ledger.effects(db.books):  # noqa: ASYNC110 - another process works
                await asyncio.sleep(0.01)
        victim.kill()
        expected = await publishing
        await settled(db)

    assert await ledger.effects(db.books) == expected


@pytest.mark.parametrize("point", ["events.fetched", "events.marking"])
async def test_a_relay_that_was_stopped_and_wakes_after_the_takeover_does_no_harm(db: Any, point: str) -> None:
    expected = await publish_many(db)

    with relay_process(db, f"{point}=1*pause") as sleeper:
        await stopped(sleeper)
        async with ledger.running(ledger.relay_for(db.shop, ledger.bookkeeper(db.books), lease_seconds=LEASE)) as heir:
            while len(heir.leases.slots) < 8:  # noqa: ASYNC110 - the sleeper's lease has to end
                await asyncio.sleep(0.05)
            await heir.drained()
            more = await publish_many(db)
            os.kill(sleeper.pid, signal.SIGCONT)
            heir.poke()
            while heir.leases.others == 0:  # noqa: ASYNC110 - the sleeper is awake and takes its share
                await asyncio.sleep(0.05)
            await settled(db)

    assert await ledger.effects(db.books) == {subject: list(range(1, 13)) for subject in expected | more}


async def test_a_relay_that_lost_its_lease_marks_nothing(db: Any) -> None:
    expected = await publish_many(db)

    with relay_process(db, "events.marking=1*pause") as sleeper:
        await stopped(sleeper)
        pending = await _pending(db)
        usurper = Leases(db.shop, "usurper", seconds=LEASE)
        while len(usurper.slots) < 8:
            await usurper.beat()
            await asyncio.sleep(0.05)
        usurper.seconds = 3600
        while usurper.others or len(usurper.slots) < 8:
            await usurper.beat()
            await asyncio.sleep(0.05)
        os.kill(sleeper.pid, signal.SIGCONT)
        while not usurper.others:
            await usurper.beat()
            await asyncio.sleep(0.05)
        assert await _pending(db) == pending
        await usurper.leave()
        await settled(db)

    assert await ledger.effects(db.books) == expected


async def _pending(db: Any) -> list[int]:
    return [row["position"] for row in await db.shop.fetch("SELECT position FROM outbox_pending ORDER BY position")]
