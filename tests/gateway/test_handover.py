"""One gateway takes over from another on the same socket, and no request is lost."""

import asyncio
from typing import Any

import pytest
import uvloop

from tricorn.gateway import Rate
from tricorn.gateway.serve import GatewayServer
from tricorn.supervise.public import listen

pytestmark = pytest.mark.usefixtures("toy")

CONNECTIONS = 8
REQUEST = b"GET /v1/books/b1 HTTP/1.1\r\nhost: x\r\n\r\n"


class Customer:
    """Asks again and again on kept connections; opens a new one only when the server says close."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers = 0
        self.reconnects = 0

    async def shop(self, enough: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not enough.is_set():
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(length)
            self.answers += 1
            if b"connection: close" in head:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                self.reconnects += 1
        writer.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_successor_takes_over_without_losing_a_request(make_gateway: Any, new_loop: Any) -> None:
    async def hand_over() -> list[Customer]:
        socket = listen("127.0.0.1", 0)
        stops = [asyncio.Event() for _ in range(4)]
        unlimited = {"read": Rate(10**9, 1.0), "write": Rate(10**9, 1.0)}
        servers = [GatewayServer(make_gateway(rates=unlimited), stop, drain_time=5.0, idle_time=5.0) for stop in stops]
        tasks = [asyncio.create_task(servers[0].serve([socket.dup()]))]
        await servers[0].serving.wait()
        enough = asyncio.Event()
        customers = [Customer(socket.getsockname()[1]) for _ in range(CONNECTIONS)]
        shopping = [asyncio.create_task(each.shop(enough)) for each in customers]
        for old, new in zip(range(3), range(1, 4), strict=True):
            before = [each.answers for each in customers]
            while not all(each.answers > count for each, count in zip(customers, before, strict=True)):
                assert not any(each.done() for each in shopping)
                await asyncio.sleep(0.001)
            tasks.append(asyncio.create_task(servers[new].serve([socket.dup()])))
            await servers[new].serving.wait()
            stops[old].set()
            await tasks[old]
        enough.set()
        await asyncio.gather(*shopping)
        stops[3].set()
        await tasks[3]
        socket.close()
        return customers

    with asyncio.Runner(loop_factory=new_loop) as runner:
        customers = runner.run(asyncio.wait_for(hand_over(), timeout=60))

    assert all(each.answers > 3 for each in customers)
    assert sum(each.reconnects for each in customers) >= CONNECTIONS
