"""What a restart of PostgreSQL does to those who are connected."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import Database, EmbeddedPostgres


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


def kill(server: EmbeddedPostgres) -> None:
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait(30)


async def test_a_pool_survives_a_restart_and_refuses_only_what_was_in_flight(server: EmbeddedPostgres) -> None:
    async with Database(server.admin_url(), size=3, acquire_seconds=5) as database:
        in_flight = asyncio.create_task(database.fetchval("select pg_sleep(30)"))
        sleeping = "select exists (select from pg_stat_activity where wait_event = 'PgSleep')"
        while not await database.fetchval(sleeping):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)

        server.stop()
        server.start()

        with pytest.raises(Refusal) as refusal:
            await in_flight
        assert refusal.value.reason == PlatformReason.UNAVAILABLE
        assert await database.fetchval("select 1") == 1


async def test_a_server_that_is_down_is_unavailable(server: EmbeddedPostgres) -> None:
    async with Database(server.admin_url(), acquire_seconds=0.1) as database:
        server.stop()

        with pytest.raises(Refusal) as refusal:
            await database.fetchval("select 1")

    assert refusal.value.reason == PlatformReason.UNAVAILABLE


async def test_a_call_made_while_the_server_is_away_is_answered_when_it_is_back_in_time(
    server: EmbeddedPostgres,
) -> None:
    async with Database(server.admin_url(), acquire_seconds=30) as database:
        server.stop()

        async def read_in_transaction() -> object:
            async with database.transaction() as connection:
                return await connection.fetchval("select 1")

        call = asyncio.create_task(read_in_transaction())
        await asyncio.to_thread(server.start)

        assert await call == 1


async def test_listening_goes_on_after_a_restart_and_says_that_something_may_have_been_missed(
    server: EmbeddedPostgres,
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with Database(server.admin_url(), acquire_seconds=5) as database:
        await database.listen("orders", heard.put_nowait)
        assert await heard.get() == ""
        await database.execute("select pg_notify('orders', 'one')")
        assert await heard.get() == "one"

        kill(server)
        await asyncio.to_thread(server.start)

        assert await heard.get() == ""
        await database.execute("select pg_notify('orders', 'two')")
        assert await heard.get() == "two"


async def test_a_callback_that_raises_does_not_stop_the_others(server: EmbeddedPostgres) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def fail(_: str) -> None:
        raise ValueError("a defect of the listener")

    async with Database(server.admin_url()) as database:
        await database.listen("orders", fail)
        await database.listen("orders", heard.put_nowait)
        await database.execute("select pg_notify('orders', 'one')")

        assert await heard.get() == "one"
