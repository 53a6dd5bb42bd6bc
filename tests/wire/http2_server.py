"""A server that says over a socket exactly what a test wants said, frame by frame."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED = 0x1, 0x4, 0x8
OK = b"\x88"  # :status: 200
DONE = b"\x00\x0bgrpc-status\x010"
_PREFACE = 24
_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Frame:
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def packed(self) -> bytes:
        head = len(self.payload).to_bytes(3) + bytes((self.kind, self.flags)) + self.stream.to_bytes(4)
        return head + self.payload


@dataclass
class Said:
    """One connection, seen from the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, *frames: Frame) -> None:
        self.writer.write(b"".join(frame.packed for frame in frames))

    async def hears(self, kind: int) -> Frame:
        """The next frame of a kind."""
        while (frame := await self._next()).kind != kind:
            pass
        return frame

    async def before(self, kind: int) -> list[Frame]:
        """What comes before the next frame of a kind."""
        frames = []
        while (frame := await self._next()).kind != kind:
            frames.append(frame)
        return frames

    async def _next(self) -> Frame:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            head = await self.reader.readexactly(9)
            payload = await self.reader.readexactly(int.from_bytes(head[:3]))
        return Frame(head[3], head[4], int.from_bytes(head[5:]), payload)


def answer(stream: int, message: bytes) -> tuple[Frame, ...]:
    """A whole answer."""
    body = b"\x00" + len(message).to_bytes(4) + message
    return (
        Frame(HEADERS, END_HEADERS, stream, OK),
        Frame(DATA, 0, stream, body),
        Frame(HEADERS, END_HEADERS | END_STREAM, stream, DONE),
    )


@asynccontextmanager
async def saying(path: str, script: Callable[[Said], Awaitable[None]]) -> AsyncIterator[None]:
    """Serves each connection by a script; what fails in one fails the test."""
    failures: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(_PREFACE)
            said = Said(reader, writer)
            said.say(Frame(SETTINGS, 0, 0, b""))
            await script(said)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
    assert not failures
