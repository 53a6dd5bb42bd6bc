"""A server that ends says so on every idle connection; whoever uses one before its end has been read must not suffer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import Database, EmbeddedPostgres

_FIELDS = b"SFATAL\0VFATAL\0C57P02\0Mterminating connection because of crash of another server process\0\0"
FAREWELL = b"E" + (len(_FIELDS) + 4).to_bytes(4, "big") + _FIELDS


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


class Line:
    """Passes bytes between clients and the server, and can say the server's farewell without hanging up."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._clients: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(str(self._socket))
        self._clients.append(writer)
        self._tasks += [
            asyncio.create_task(_pass_on(reader, upstream_writer)),
            asyncio.create_task(_pass_on(upstream_reader, writer)),
        ]

    async def say_farewell(self) -> None:
        for client in self._clients:
            client.write(FAREWELL)
            await client.drain()
        for _ in range(20):  # turns of the loop, in which the clients read it
            await asyncio.sleep(0)

    def cut(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def _through(server: EmbeddedPostgres) -> AsyncIterator[tuple[Line, Database]]:
    assert server._sockets is not None
    line = Line(server._sockets / ".s.PGSQL.5432")
    listener = await asyncio.start_server(line.connect, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with Database(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable", size=1) as database:
        yield line, database
    listener.close()
    line.cut()


async def test_a_call_on_a_connection_that_was_told_farewell_may_be_tried_again(server: EmbeddedPostgres) -> None:
    async with _through(server) as (line, database):
        await line.say_farewell()

        with pytest.raises(Refusal) as refusal:
            await database.fetchval("select 1")

        assert refusal.value.reason == PlatformReason.UNAVAILABLE
        assert await database.fetchval("select 2") == 2


async def test_a_transaction_begins_on_another_connection(server: EmbeddedPostgres) -> None:
    async with _through(server) as (line, database):
        await line.say_farewell()

        async with database.transaction() as work:
            assert await work.fetchval("select 1") == 1
