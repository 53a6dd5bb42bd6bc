"""Another process's own HTTP server on a unix socket: requests are passed on, upgrades become tunnels."""

import asyncio
import contextlib

import httptools

from tricorn.contract import PlatformReason, Refusal
from tricorn.gateway.config import Receive, Scope, Send

_CONNECT_TIME = 2.0
_HEAD_TIME = 30.0
_READ_SIZE = 64 << 10
_HIGH_WATER = 256 << 10
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)


class _Answer:
    """What the parser has read of an answer so far."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = False
        self.is_complete = False
        self.chunks: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() not in _HOP_BY_HOP:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.chunks.append(body)

    def on_message_complete(self) -> None:
        self.is_complete = True


class Upstream:
    """An ASGI application that asks the server at a unix socket. One connection for each request: they cost 30 us here."""

    def __init__(self, path: str) -> None:
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("another process has a life of its own")
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1011})
            return
        try:
            async with asyncio.timeout(_CONNECT_TIME):
                reader, writer = await asyncio.open_unix_connection(self.path)
        except (OSError, TimeoutError):
            raise Refusal(PlatformReason.UNAVAILABLE, "this part is not running at the moment") from None
        pump = asyncio.create_task(_send_request(scope, receive, writer))
        reading = asyncio.create_task(_send_answer(scope, reader, send))
        try:
            await asyncio.wait((pump, reading), return_when=asyncio.FIRST_COMPLETED)
            if pump.done() and pump.result():
                return
            await reading
        finally:
            for task in (pump, reading):
                task.cancel()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _send_request(scope: Scope, receive: Receive, writer: asyncio.StreamWriter) -> bool:
    """Passes the request on, then waits for the client to leave. True when it did."""
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    head = [scope["method"].encode() + b" " + target + b" HTTP/1.1\r\n"]
    is_chunked = any(name == b"transfer-encoding" for name, _ in scope["headers"])
    head += [name + b": " + value + b"\r\n" for name, value in scope["headers"] if name not in _HOP_BY_HOP]
    client = scope.get("client")
    head.append(b"x-forwarded-proto: %b\r\n" % scope["scheme"].encode())
    if client:
        head.append(b"x-forwarded-for: %b\r\n" % client[0].encode())
    head.append(b"transfer-encoding: chunked\r\n" if is_chunked else b"")
    writer.write(b"".join(head) + b"connection: close\r\n\r\n")
    more = True
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return True
        body = message.get("body", b"")
        if more and body:
            writer.write(b"%x\r\n%b\r\n" % (len(body), body) if is_chunked else body)
        if more and not message.get("more_body", False):
            more = False
            if is_chunked:
                writer.write(b"0\r\n\r\n")
        with contextlib.suppress(OSError):
            await writer.drain()


async def _send_answer(scope: Scope, reader: asyncio.StreamReader, send: Send) -> None:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    started = False
    while not answer.is_complete:
        try:
            async with asyncio.timeout(None if started else _HEAD_TIME):
                data = await reader.read(_READ_SIZE)
            if not data:
                break
            parser.feed_data(data)
        except (httptools.HttpParserError, OSError, TimeoutError):
            if started:
                raise
            raise Refusal(PlatformReason.UNAVAILABLE, "this part did not answer") from None
        if answer.has_head and not started:
            started = True
            await send({"type": "http.response.start", "status": parser.get_status_code(), "headers": answer.headers})
            if scope["method"] == "HEAD":
                break
        if started and answer.chunks:
            await send({"type": "http.response.body", "body": b"".join(answer.chunks), "more_body": True})
            answer.chunks.clear()
    if not started:
        raise Refusal(PlatformReason.UNAVAILABLE, "this part did not answer")
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Tunnel(asyncio.Protocol):
    """Bytes both ways between a client and another process, once a request asked for an upgrade."""

    def __init__(self, client: asyncio.Transport, open_tunnels: "set[Tunnel]") -> None:
        self._client = client
        self._open = open_tunnels
        self._far: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self._opening: asyncio.Task[None] | None = None

    def open(self, path: str, head: bytes) -> None:
        """Connects to the other process and sends it the head of the request."""
        self._open.add(self)
        self._opening = asyncio.get_running_loop().create_task(self._connect(path, head))

    def close(self) -> None:
        for transport in (self._client, self._far):
            if transport is not None:
                transport.close()

    async def _connect(self, path: str, head: bytes) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIME):
                far, _ = await loop.create_unix_connection(lambda: _FarEnd(self._client), path)
        except (OSError, TimeoutError):
            self._client.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._client.close()
            return
        self._far = far
        far.write(head + b"".join(self._early))
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        if self._far is None:
            self._early.append(data)
            if sum(map(len, self._early)) > _HIGH_WATER:
                self._client.close()
        else:
            self._far.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._open.discard(self)
        if self._opening is not None:
            self._opening.cancel()
        if self._far is not None:
            self._far.close()

    def pause_writing(self) -> None:
        if self._far is not None:
            self._far.pause_reading()

    def resume_writing(self) -> None:
        if self._far is not None:
            self._far.resume_reading()


class _FarEnd(asyncio.Protocol):
    """The other process's end of a tunnel."""

    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._client.close()

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        self._client.resume_reading()
