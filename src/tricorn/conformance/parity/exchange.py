"""Requests as bytes on a connection, and what comes back: a client that sends whatever it is told to, broken requests too."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httptools

PATIENCE = 30.0
"""Seconds in which an answer must have come, whatever the deadline of the method behind it."""

_INTERIM = 200


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``raw`` replaces all of it; then as many answers are read as the server gives until it closes.

    ``chunked`` sends the body in chunks of a thousand bytes, its length unannounced.
    """

    method: str = "GET"
    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    chunked: bool = False
    raw: bytes | None = None

    def payload(self, host: str) -> bytes:
        """What goes over the connection."""
        if self.raw is not None:
            return self.raw
        names = {name.lower() for name, _ in self.headers}
        fields = [*([] if "host" in names else [("Host", host)]), *self.headers]
        body = self.body
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Transfer-Encoding", "chunked") if self.chunked else ("Content-Length", str(len(body))))
        if self.chunked:
            body = _chunks(body or b"")
        head = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        return "\r\n".join([*head, "", ""]).encode() + (body or b"")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. Header names are in lower case; ``cut``: the connection ended before all of it was there."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes
    cut: bool = False

    def header(self, name: str) -> str | None:
        """The values of a header, joined; None when there is none."""
        values = self.headers.get(name)
        return None if values is None else ", ".join(values)


class Line:
    """A connection to a server, kept alive from request to request as the server allows."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def host(self) -> str:
        return f"{self._address[0]}:{self._address[1]}"

    async def ask(self, ask: Ask) -> list[Answer]:
        """Sends a request and reads its answer; a raw one may have several, or none.

        A connection that the server has closed meanwhile is opened anew before anything is sent.
        """
        if ask.raw is not None:
            await self.close()
        reader, writer = await self._open()
        answers = _Answers(bodiless=ask.method == "HEAD" and ask.raw is None)
        closes = ask.raw is not None
        try:
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):  # a server may answer and close before it has read all
                    writer.write(ask.payload(self.host))
                    await writer.drain()
                while closes or not answers.done:
                    data = await self._read(reader)
                    if not data:
                        answers.end()
                        closes = True
                        break
                    answers.feed(data)
        except TimeoutError:
            closes = True
        if closes or answers.last_closes:
            await self.close()
        return answers.complete

    async def close(self) -> None:
        """Leaves the server. Done again, it does nothing."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        return self._streams

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(1 << 16)
        except ConnectionError:
            return b""


class _Answers:
    """Reads answers out of bytes."""

    def __init__(self, *, bodiless: bool) -> None:
        self.complete: list[Answer] = []
        self._bodiless = bodiless
        self._parser: Any = httptools.HttpResponseParser(self)
        self._headers: dict[str, tuple[str, ...]] = {}
        self._body: list[bytes] = []
        self._headed = False

    @property
    def done(self) -> bool:
        return bool(self.complete)

    @property
    def last_closes(self) -> bool:
        """Whether the server said that it closes the connection after its last answer."""
        return not self.complete or "close" in (self.complete[-1].header("connection") or "").lower()

    def feed(self, data: bytes) -> None:
        with contextlib.suppress(httptools.HttpParserError):
            self._parser.feed_data(data)

    def end(self) -> None:
        """The connection is over: a body without an announced length is complete, another one is cut."""
        if self._headed:
            announced = {"content-length", "transfer-encoding"} & self._headers.keys()
            self._keep(cut=bool(announced))

    def on_message_begin(self) -> None:
        self._headers, self._body, self._headed = {}, [], False

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        self._headers[key] = (*self._headers.get(key, ()), value.decode("latin-1"))

    def on_headers_complete(self) -> None:
        self._headed = True
        if self._bodiless and self._parser.get_status_code() >= _INTERIM:
            self._keep(cut=False)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._headed:
            self._keep(cut=False)

    def _keep(self, *, cut: bool) -> None:
        self._headed = False
        status = self._parser.get_status_code()
        if status >= _INTERIM:
            self.complete.append(Answer(status, dict(self._headers), b"".join(self._body), cut))


def _chunks(body: bytes) -> bytes:
    parts = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
