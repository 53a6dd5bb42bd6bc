"""A client that never asks twice, at a steady rate, whatever becomes of its answers: what a hand-over of the public port is judged by."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_OK = 200
_ANSWER_SECONDS = 20.0
_PAUSE_SECONDS = 0.03
_KINDS = ("kept", "new", "kept, in two parts", "new, after a pause")


@dataclass
class Account:
    """What became of every request: `asked` is the sum of `answered` and of what is in `failures`."""

    asked: int = 0
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    by: dict[str, int] = field(default_factory=dict)
    """Good answers by who gave them, as `who` of the client tells."""
    statuses: dict[int, int] = field(default_factory=dict)
    reconnected: int = 0
    """How often a kept connection was given up, because an answer said that it was the last one on it."""
    longest_gap: float = 0.0
    """Seconds between two answers."""


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer


class RawClient:
    """Asks for PATH, with a number of its own in each request's id; half of the requests on connections that are kept, half on one of their own.

    Every other one takes a while to be asked, so that some are under way at any moment. Use it as a context manager; `account` is
    complete when the block has ended.

    Args:
        url: where the gateway answers.
        path: of the requests.
        who: tells by an answer's body who gave it.
        rate: requests a second.
    """

    def __init__(self, url: str, path: str, rate: float, who: Callable[[str], str] = lambda _: "somebody") -> None:
        address = urlsplit(url)
        self._host, self._port = str(address.hostname), int(address.port or 80)
        self._path = path
        self._who = who
        self._rate = rate
        self._kept: deque[_Connection] = deque()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="raw client")
        self._last = 0.0
        self.account = Account()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def until(self, enough: int) -> None:
        """Wait until so many more requests were answered, or one was not."""
        until, deadline = self.account.answered + enough, time.monotonic() + _ANSWER_SECONDS + enough / self._rate
        while self.account.answered < until and not self.account.failures:
            assert time.monotonic() < deadline, self.account
            time.sleep(0.01)

    async def _run(self) -> None:
        asking: set[asyncio.Task[None]] = set()
        began, number = time.monotonic(), 0
        self._last = began
        while not self._enough.is_set():
            task = asyncio.create_task(self._ask(number))
            asking.add(task)
            task.add_done_callback(asking.discard)
            number += 1
            await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
        await asyncio.gather(*asking)
        for connection in self._kept:
            connection.writer.close()

    async def _ask(self, number: int) -> None:
        kind = _KINDS[number % len(_KINDS)]
        self.account.asked += 1
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._ask_once(number, kind)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self.account.failures.append(f"request {number} ({kind}): {error!r}")
        else:
            self.account.answered += 1
            now = time.monotonic()
            self.account.longest_gap, self._last = max(self.account.longest_gap, now - self._last), now

    async def _ask_once(self, number: int, kind: str) -> None:
        is_kept = kind.startswith("kept")
        connection = self._kept.popleft() if is_kept and self._kept else None
        if connection is None:
            connection = _Connection(*await asyncio.open_connection(self._host, self._port))
        close = "" if is_kept else "connection: close\r\n"
        request = f"GET {self._path} HTTP/1.1\r\nhost: {self._host}\r\nx-request-id: n-{number}\r\n{close}\r\n".encode()
        first = request
        if kind.endswith("in two parts"):
            first, request = request[:20], request[20:]
            connection.writer.write(first)
            await asyncio.sleep(_PAUSE_SECONDS)
        elif kind.endswith("after a pause"):
            await asyncio.sleep(_PAUSE_SECONDS)
        connection.writer.write(request)
        last = await self._hear(connection.reader, number)
        if is_kept and not last:
            self._kept.append(connection)
            return
        self.account.reconnected += is_kept
        await _ends(connection.reader)
        connection.writer.close()

    async def _hear(self, reader: asyncio.StreamReader, number: int) -> bool:
        """Read one answer, the right one; whether it is the last one on its connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        status = int(head[0].split()[1])
        length = next(int(line[15:]) for line in head if line.startswith(b"content-length:"))
        body = (await reader.readexactly(length)).decode()
        if f"x-request-id: n-{number}".encode() not in head:
            raise ValueError(f"somebody else's answer: {head}")
        self.account.statuses[status] = self.account.statuses.get(status, 0) + 1
        if status != _OK:
            return b"connection: close" in head
        who = self._who(body)
        self.account.by[who] = self.account.by.get(who, 0) + 1
        return b"connection: close" in head


async def _ends(reader: asyncio.StreamReader) -> None:
    """The last answer on a connection is followed by its end, and by nothing else.

    Raises:
        ValueError: there was more.
    """
    try:
        more = await reader.read(1)
    except ConnectionError:
        return
    if more:
        raise ValueError("an answer came twice, or one that nobody asked for")
