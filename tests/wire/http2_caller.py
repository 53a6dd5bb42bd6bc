"""A caller that says over a socket exactly what a test wants said, frame by frame; and the handlers that it calls."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from http2_server import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
)

from tricorn.contract import PlatformReason, Refusal, Violation
from tricorn.wire.http2.hpack import Headers, decoded, literal
from tricorn.wire.http2.peer import PREFACE
from tricorn.wire.http2.serving import Method, ServedConnection, Serving

MOST = 2**20
_PATIENCE_SECONDS = 30


def number_in(frame: Frame) -> int:
    return int.from_bytes(frame.payload)


def widen(number: int, by: int) -> Frame:
    return Frame(WINDOW_UPDATE, 0, number, by.to_bytes(4))


async def until(done: Callable[[], bool]) -> None:
    """Lets the loop turn until something holds that no event tells."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def within(waiting: Awaitable[object]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await waiting


class Handlers:
    """What is called, and what became of it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.ended = asyncio.Event()
        self.free = asyncio.Event()
        self.taken: list[bytes] = []
        self.given = 0

    @property
    def methods(self) -> dict[bytes, Method]:
        return {
            b"/a/echo": Method(self.echo),
            b"/a/wait": Method(self.wait),
            b"/a/fail": Method(self.fail),
            b"/a/refuse": Method(self.refuse),
            b"/a/long": Method(self.long),
            b"/a/pour": Method(self.pour, server_streaming=True),
            b"/a/pour-briefly": Method(self.pour, server_streaming=True, seconds=0.1),
            b"/a/broken": Method(self.broken, server_streaming=True),
            b"/a/collect": Method(self.collect, client_streaming=True),
            b"/a/shout": Method(self.shout, client_streaming=True, server_streaming=True),
        }

    async def echo(self, said: bytes, _: Headers) -> bytes:
        self.taken.append(said)
        return said

    async def wait(self, said: bytes, _: Headers) -> bytes:
        self.asked.set()
        try:
            await self.free.wait()
        finally:
            for _turn in range(10):
                await asyncio.sleep(0)  # to give back what it holds takes some turns
            self.ended.set()
        return said

    async def fail(self, _: bytes, __: Headers) -> bytes:
        raise RuntimeError("not to be shown")

    async def refuse(self, said: bytes, _: Headers) -> bytes:
        broken = [Violation(f"field_{number}", "rule", "ä" * 20) for number in range(int(said))]
        raise Refusal(PlatformReason.INVALID_ARGUMENT, "100 % wrong:\nä", violations=broken)

    async def long(self, said: bytes, _: Headers) -> bytes:
        return bytes(int(said))

    async def pour(self, said: bytes, _: Headers) -> AsyncIterator[bytes]:
        """As many answers of a thousand bytes as are asked for, without ever waiting for anything."""
        try:
            for number in range(int(said)):
                self.given += 1
                yield bytes((number % 256,)) * 1000
        finally:
            self.ended.set()

    async def broken(self, said: bytes, _: Headers) -> AsyncIterator[bytes]:
        yield said
        raise Refusal(PlatformReason.ABORTED, "in the middle")

    async def collect(self, said: AsyncIterator[bytes], _: Headers) -> bytes:
        self.asked.set()
        try:
            await self.free.wait()
            async for each in said:
                self.taken.append(each)
        finally:
            self.ended.set()
        return b"%d" % len(self.taken)

    async def shout(self, said: AsyncIterator[bytes], _: Headers) -> AsyncIterator[bytes]:
        async for each in said:
            yield each.upper()


def head(path: str, *more: tuple[bytes, bytes], kind: bytes = b"application/grpc") -> bytes:
    """The block of headers of a call."""
    said = (b":path", path.encode()), (b"content-type", kind), (b"te", b"trailers"), *more
    return b"\x83\x86" + b"".join(literal(name, value) for name, value in said)


def message(content: bytes) -> bytes:
    return b"\x00" + len(content).to_bytes(4) + content


def request(number: int, path: str, content: bytes = b"") -> tuple[Frame, ...]:
    """A whole call."""
    return Frame(HEADERS, END_HEADERS, number, head(path)), Frame(DATA, END_STREAM, number, message(content))


@dataclass(frozen=True)
class Answered:
    """What was said on a stream until its end."""

    headers: Headers
    body: bytes
    trailers: Headers

    @property
    def status(self) -> int:
        return int(self.trailers[b"grpc-status"])

    @property
    def messages(self) -> list[bytes]:
        found, at = [], 0
        while at < len(self.body):
            end = at + 5 + int.from_bytes(self.body[at + 1 : at + 5])
            found.append(self.body[at + 5 : end])
            at = end
        return found


@dataclass
class Caller:
    """One connection, seen from its caller."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _unheeded: list[Frame] = field(default_factory=list)

    def say(self, *frames: Frame) -> None:
        self.writer.write(b"".join(frame.packed for frame in frames))

    async def hears(self, kind: int, number: int | None = None) -> Frame:
        """The next frame of a kind, and of a stream; others are kept."""
        for place, frame in enumerate(self._unheeded):
            if frame.kind == kind and number in {None, frame.stream}:
                return self._unheeded.pop(place)
        while True:
            frame = await self._next()
            if frame.kind == kind and number in {None, frame.stream}:
                return frame
            self._unheeded.append(frame)

    async def until_now(self) -> list[Frame]:
        """What was said besides before it heard what has been said to it."""
        self.say(Frame(PING, 0, 0, b"until..."))
        while (frame := await self._next()).kind != PING:
            self._unheeded.append(frame)
        heard, self._unheeded = self._unheeded, []
        return heard

    async def answered(self, number: int) -> Answered:
        """All that is said on a stream."""
        blocks: list[bytes] = []
        body = b""
        while True:
            frame = await self._of(number)
            ends = frame.flags & END_STREAM
            if frame.kind == HEADERS:
                blocks.append(frame.payload)
                while not frame.flags & END_HEADERS:
                    frame = await self._of(number)
                    assert frame.kind == CONTINUATION
                    blocks[-1] += frame.payload
            elif frame.kind == DATA:
                body += frame.payload
            else:
                assert frame.kind != RST_STREAM
            if ends:
                return Answered(decoded(blocks[0]), body, decoded(blocks[-1]))

    async def is_left(self) -> bool:
        """Whether the connection ends, whatever else is said on it."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            try:
                while await self.reader.read(2**16):
                    pass
            except ConnectionError:
                pass
        return True

    async def _of(self, number: int) -> Frame:
        for place, frame in enumerate(self._unheeded):
            if frame.stream == number:
                return self._unheeded.pop(place)
        while (frame := await self._next()).stream != number:
            self._unheeded.append(frame)
        return frame

    async def _next(self) -> Frame:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            said = await self.reader.readexactly(9)
            payload = await self.reader.readexactly(int.from_bytes(said[:3]))
        return Frame(said[3], said[4], int.from_bytes(said[5:]), payload)


async def connected(serving: Serving) -> tuple[Caller, ServedConnection]:
    """A caller on a new connection, which has said nothing yet."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    _, connection = await loop.connect_accepted_socket(lambda: ServedConnection(serving), theirs)
    return Caller(*await asyncio.open_unix_connection(sock=ours)), connection


@asynccontextmanager
async def served(
    methods: Mapping[bytes, Method], *settings: tuple[int, int]
) -> AsyncIterator[tuple[Caller, ServedConnection, Serving]]:
    """A caller that has greeted, the connection as its server sees it, and the server."""
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    serving = Serving(methods, MOST)
    caller, connection = await connected(serving)
    caller.writer.write(PREFACE)
    caller.say(Frame(SETTINGS, 0, 0, b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in settings)))
    try:
        yield caller, connection, serving
    finally:
        caller.writer.close()
        await serving.stop(0)
        assert (serving.connections, serving.running, complaints) == (set(), set(), [])
