"""Unary calls on one connection: each is a stream of its own."""

import asyncio
import base64
from collections import deque
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError

from tricorn.contract import Refusal
from tricorn.wire.errors import DETAILS_KEY, refusal_of
from tricorn.wire.http2.hpack import Headers
from tricorn.wire.http2.messages import PREFIX, framed
from tricorn.wire.http2.peer import CANCEL, ENHANCE_YOUR_CALM, PREFACE, REFUSED_STREAM, Peer

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_RESETS = {
    REFUSED_STREAM: grpc.StatusCode.UNAVAILABLE,
    CANCEL: grpc.StatusCode.CANCELLED,
    ENHANCE_YOUR_CALM: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_TICKS_SECONDS = 0.002  # a loop may count time by the millisecond, and rounds
_MOST_STREAMS = 2**30  # numbers are odd, and end at 2**31


class _MetError(Exception):
    """What became of a call, before its caller puts it into words: in its own context, where its trace is."""

    def __init__(self, code: grpc.StatusCode, said: str, *, details: bytes = b"", sent: bool = True) -> None:
        super().__init__(code, said)
        self.code = code
        self.said = said
        self.details = details
        self.sent = sent


class _Stream:
    __slots__ = ("answer", "headers", "number", "parts", "size", "timer")

    def __init__(self, number: int, answer: asyncio.Future[bytes], timer: asyncio.TimerHandle) -> None:
        self.number = number
        self.answer = answer
        self.timer = timer
        self.headers: Headers = {}
        self.parts: list[bytes] = []
        self.size = 0

    @property
    def begun(self) -> bool:
        """Whether some of the answer has come: whatever is said afterwards, the server took the call."""
        return bool(self.headers or self.parts)


class Connection(Peer):
    """A connection to one server.

    Args:
        most_bytes: The longest answer that is taken.
    """

    def __init__(self, most_bytes: int) -> None:
        super().__init__(PREFACE)
        self._loop = asyncio.get_running_loop()
        self._most_bytes = most_bytes
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._leaving = False
        self._turns: deque[asyncio.Future[None]] = deque()
        self.greeted: asyncio.Future[None] = self._loop.create_future()
        """Done when the server has said what it takes, or is gone."""

    @property
    def usable(self) -> bool:
        """Whether more calls may be made on it."""
        return not self._leaving and not self._transport.is_closing()

    @property
    def full(self) -> bool:
        """Whether the server takes no more calls until one ends."""
        return len(self._streams) >= self.most_streams

    async def room(self) -> None:
        """Waits until a call ends, or the connection does."""
        turn: asyncio.Future[None] = self._loop.create_future()
        self._turns.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._give_turns()  # it may have been this one's
            raise

    async def unary(self, headers: bytes, message: bytes, seconds: float) -> bytes:
        """What the server answers to a message.

        Raises:
            Refusal: Its own, or what the transport met; DEADLINE_EXCEEDED after ``seconds``.
        """
        if seconds <= 0:
            self._give_turns()  # it needs none
            raise refusal_of(grpc.StatusCode.DEADLINE_EXCEEDED, "no time is left", sent=False)
        number = self._next
        self._next += 2
        self._leaving = self._leaving or number >= _MOST_STREAMS
        answer: asyncio.Future[bytes] = self._loop.create_future()
        stream = _Stream(number, answer, self._loop.call_later(seconds, self._expire, number))
        self._streams[number] = stream
        try:
            self.send(number, headers, framed(message))
            return await answer
        except _MetError as met:
            if met.code is grpc.StatusCode.CANCELLED and self._loop.time() >= stream.timer.when() - _TICKS_SECONDS:
                met.code = grpc.StatusCode.DEADLINE_EXCEEDED  # the server's timer was quicker than the one here
            raise _refusal(met) from None
        finally:
            if number in self._streams:
                self._forget(stream)
                self.reset(number)

    def on_headers(self, number: int, headers: Headers, *, last: bool) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            stream.headers = headers
            if last:
                self._end(stream)

    def on_data(self, number: int, data: bytes, *, last: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.parts.append(data)
        stream.size += len(data)
        if stream.size > self._most_bytes + PREFIX:
            self._fail(stream, grpc.StatusCode.RESOURCE_EXHAUSTED, "the answer is too long")
            self.reset(number)
        elif last:
            self._end(stream)

    def on_reset(self, number: int, error: int) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            code = _RESETS.get(error, grpc.StatusCode.INTERNAL)
            sent = error != REFUSED_STREAM or stream.begun
            self._fail(stream, code, f"the stream was reset: {error}", sent=sent)

    def on_going_away(self, last_number: int) -> None:
        self._leaving = True
        self._give_turns()
        for stream in list(self._streams.values()):
            if stream.number > last_number:
                self._fail(stream, grpc.StatusCode.UNAVAILABLE, "the server is leaving", sent=stream.begun)
        self._close_when_done()

    def on_settings(self) -> None:
        self._greet()
        self._give_turns()

    def connection_lost(self, error: Exception | None) -> None:
        self._leaving = True
        for stream in list(self._streams.values()):
            self._fail(stream, grpc.StatusCode.UNAVAILABLE, f"the connection was lost: {error or 'closed'}")
        self._give_turns()
        self._greet()

    def _greet(self) -> None:
        if not self.greeted.done():
            self.greeted.set_result(None)

    def _expire(self, number: int) -> None:
        self._fail(self._streams[number], grpc.StatusCode.DEADLINE_EXCEEDED, "no answer within the deadline")
        self.reset(number)

    def _end(self, stream: _Stream) -> None:
        if self.is_sending(stream.number):
            self.reset(stream.number)  # it answered without reading on
        self._forget(stream)
        if stream.answer.done():
            return
        body = b"".join(stream.parts)
        if stream.headers.get(b"grpc-status") != b"0":
            stream.answer.set_exception(_met(stream.headers))
        elif len(body) < PREFIX or body[0] or int.from_bytes(body[1:PREFIX]) != len(body) - PREFIX:
            stream.answer.set_exception(_MetError(grpc.StatusCode.INTERNAL, "the answer is not one message"))
        else:
            stream.answer.set_result(body[PREFIX:])

    def _fail(self, stream: _Stream, code: grpc.StatusCode, said: str, *, sent: bool = True) -> None:
        self._forget(stream)
        if not stream.answer.done():
            stream.answer.set_exception(_MetError(code, said, sent=sent))

    def _forget(self, stream: _Stream) -> None:
        del self._streams[stream.number]
        self.stop_sending(stream.number)
        stream.timer.cancel()
        self._give_turns()
        self._close_when_done()

    def _give_turns(self) -> None:
        free = self.most_streams - len(self._streams)
        while self._turns and (self._leaving or free > 0):
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def _close_when_done(self) -> None:
        if self._leaving and not self._streams:
            self._transport.close()


def _met(trailers: Headers) -> _MetError:
    try:
        code = _CODES.get(int(trailers[b"grpc-status"]), grpc.StatusCode.UNKNOWN)
    except (KeyError, ValueError):
        return _MetError(grpc.StatusCode.UNKNOWN, "the answer has no status that could be read")
    packed = trailers.get(DETAILS_KEY.encode(), b"")
    try:
        details = base64.b64decode(packed + b"=" * (-len(packed) % 4))
    except ValueError:
        details = b""
    return _MetError(code, unquote(trailers.get(b"grpc-message", b"").decode("ascii", "replace")), details=details)


def _refusal(met: _MetError) -> Refusal:
    try:
        return refusal_of(met.code, met.said, met.details, sent=met.sent)
    except DecodeError:  # details that are none: the code still holds
        return refusal_of(met.code, met.said, sent=met.sent)
