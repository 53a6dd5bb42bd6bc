"""What a process does for the contexts it hosts."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tricorn.contract import Refusal
from tricorn.data import Database, EmbeddedPostgres
from tricorn.host import Settings
from tricorn.host.cpu import CpuPool
from tricorn.host.settings import settings_page
from tricorn.host.testing import running


async def test_background_work_that_fails_starts_again(toy: Path, postgres: EmbeddedPostgres) -> None:
    again = asyncio.Event()
    runs = 0

    async def work(stop: asyncio.Event) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            message = "the first time"
            raise RuntimeError(message)
        again.set()
        await stop.wait()

    async with running(postgres, toy, ["notes"]) as app:
        app.process.backgrounds["work"] = work
        app.process._tasks.append(asyncio.create_task(app.process._keep_running("work", work)))
        async with asyncio.timeout(10):
            await again.wait()

    assert runs == 2


async def test_a_context_without_a_database_is_told_so(toy: Path, postgres: EmbeddedPostgres) -> None:
    async with running(postgres, toy, ["notes"]) as app:
        app.process.databases.pop("notes")
        with pytest.raises(Refusal, match="has no database"):
            _ = app.host("notes").database


async def test_a_context_is_ready_while_its_database_can_be_reached(toy: Path, postgres: EmbeddedPostgres) -> None:
    async with running(postgres, toy, ["notes"]) as app:
        app.process.databases["nowhere"] = Database("postgresql://nobody@127.0.0.1:1/nothing")

        assert await app.process.ready() == {"notes": True, "nowhere": False}


async def test_every_process_answers_for_its_own_calls(toy: Path, postgres: EmbeddedPostgres) -> None:
    async with running(postgres, toy, ["notes"]) as app:
        (stats,) = await app.host("notes").stats()

    assert stats.pid == os.getpid()
    assert "toy.notes.v1.NotesService" in {service.service for service in stats.services}


async def test_work_for_the_cpu_runs_elsewhere() -> None:
    pool = CpuPool(1)
    try:
        assert await pool.run(os.getpid) != os.getpid()
        assert await pool.run(sum, [1, 2, 3]) == 6
    finally:
        pool.close()


async def test_work_goes_on_after_a_worker_was_killed() -> None:
    pool = CpuPool(1)
    try:
        os.kill(await pool.run(os.getpid), signal.SIGKILL)

        assert await asyncio.gather(*(pool.run(sum, [1, number]) for number in range(5))) == [1, 2, 3, 4, 5]
    finally:
        pool.close()


async def test_without_workers_it_runs_here() -> None:
    assert await CpuPool(0).run(os.getpid) == os.getpid()


def test_the_page_of_settings_names_every_variable() -> None:
    page = settings_page([Settings])

    assert "`DATABASE_URL`" in page
    assert "`TRICORN_CPU_WORKERS`" in page
    assert all(field.description for field in Settings.model_fields.values())
