"""HTTP load from one process: as fast as it goes (closed loop), or at a fixed rate (open loop).

In the open loop every request has a time at which it should be sent, and its latency counts from then on: a server
that falls behind is not spared by a generator that waits for it. The client is deliberately bare (one write, one
parse of the head, keep-alive) so that it takes little of the two cores.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

Request = Callable[[], bytes]
"""Makes the bytes of the next request."""

_TIMEOUT = 30.0


@dataclass(slots=True)
class Result:
    """What a run measured; latencies in seconds. A status of 0 stands for no answer."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def add(self, status: int, latency: float) -> None:
        self.latencies.append(latency)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    @property
    def requests(self) -> int:
        return len(self.latencies)

    @property
    def rate(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0

    def quantile(self, share: float) -> float:
        """The latency that ``share`` of the requests stayed below, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def failures(self) -> int:
        """Answers that were not 2xx."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)  # noqa: PLR2004


class Connection(asyncio.Protocol):
    """One kept-alive connection, with one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._received = b""

    async def status_of(self, request: bytes) -> int:
        """Sends a request and reads the whole answer; its status, or 0 when there was none in time."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_TIMEOUT):
                if self._transport is None:
                    await loop.create_connection(lambda: self, *self._address)
                self._answer = loop.create_future()
                if self._transport is not None:
                    self._transport.write(request)
                return await self._answer
        except (OSError, TimeoutError):
            self.close()
            return 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or self._answer is None or self._answer.done():
            return
        head = head.lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r")[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._received = b""
        if b"connection: close" in head:
            self.close()
        self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer was there"))

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()


async def closed_loop(host: str, port: int, make: Request, *, connections: int, seconds: float) -> Result:
    """Each connection sends its next request as soon as the last one is answered."""
    result = Result()
    began = time.perf_counter()
    until = began + seconds

    async def work() -> None:
        connection = Connection(host, port)
        while (now := time.perf_counter()) < until:
            result.add(await connection.status_of(make()), time.perf_counter() - now)
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    result.seconds = time.perf_counter() - began
    return result


async def open_loop(
    host: str, port: int, make: Request, *, rate: float, seconds: float, connections: int = 256
) -> Result:
    """Requests at a fixed rate, whether or not the earlier ones have been answered; at most ``connections`` at once."""
    result = Result()
    idle = [Connection(host, port) for _ in range(connections)]
    free = asyncio.Semaphore(connections)
    began = time.perf_counter()

    async def one(due: float) -> None:
        async with free:
            connection = idle.pop()
            status = await connection.status_of(make())
            idle.append(connection)
        result.add(status, time.perf_counter() - due)

    tasks = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    result.seconds = time.perf_counter() - began
    for connection in idle:
        connection.close()
    return result
