"""A server's end of a connection: each call is a stream, answered by a task of its own."""

import asyncio
import base64
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc

from tricorn import telemetry
from tricorn.contract import PlatformReason, Refusal
from tricorn.wire.errors import DETAILS_KEY, to_status
from tricorn.wire.http2.hpack import TABLE_BYTES, Headers, literal
from tricorn.wire.http2.messages import PREFIX, Messages, framed
from tricorn.wire.http2.peer import NO_ERROR, PREFACE, REFUSED_STREAM, BrokenConnectionError, Peer

_log = telemetry.get_logger("tricorn.wire")

_STATUS_200 = b"\x88"
_HEAD = _STATUS_200 + literal(b"content-type", b"application/grpc")
_DONE = literal(b"grpc-status", b"0")
_NOT_GRPC = literal(b":status", b"415")
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_MOST_ON_THE_WAY = 64 * 1024
"""Bytes of a caller's stream that nobody has read yet, besides a whole message."""
_CUT_SECONDS = 1.0
_MOST_DIGITS = 8
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


@dataclass(frozen=True, slots=True)
class Method:
    """How a method is answered.

    Args:
        serve: Takes the request's bytes (of a client's stream: an iterator of them) and the headers; awaited, or for a server's stream
            iterated, it gives the answer's bytes.
        seconds: How long a server's stream may take in all, with the time of a reader who stands still.
    """

    serve: Callable[[Any, Headers], Any]
    client_streaming: bool = False
    server_streaming: bool = False
    seconds: float = math.inf


class _Exchange:
    """One call while it lasts."""

    __slots__ = ("begun", "headers", "messages", "method", "task", "until", "waiting")

    def __init__(self, method: Method, headers: Headers, messages: Messages) -> None:
        self.method = method
        self.headers = headers
        self.messages = messages
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self.until: float | None = None
        self.waiting: asyncio.Future[None] | None = None


class Serving:
    """What the connections of a server have in common.

    Args:
        methods: By path, ``/package.Service/Method``.
        most_bytes: The longest message, either way.
    """

    def __init__(self, methods: Mapping[bytes, Method], most_bytes: int) -> None:
        self.methods = methods
        self.most_bytes = most_bytes
        self.connections: set[ServedConnection] = set()
        self.running: set[_Exchange] = set()
        """Whose handlers run, their callers there or not."""
        self.leaving = False

    async def stop(self, grace: float) -> None:
        """Refuses new calls, gives those in flight ``grace`` seconds to end, and returns when no handler runs any more.

        One that goes on though it was cancelled is waited for a second.
        """
        self.leaving = True
        for connection in list(self.connections):
            connection.leave()
        await self._closed(grace)
        for connection in list(self.connections):
            connection.cut()
        await self._closed(_CUT_SECONDS)
        for connection in list(self.connections):
            connection.abort()
        await self._closed(_CUT_SECONDS)
        tasks = [exchange.task for exchange in self.running if exchange.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_CUT_SECONDS)

    async def _closed(self, seconds: float) -> None:
        """Returns when every connection is closed, all answers sent; or after some time."""
        closed = [connection.closed for connection in self.connections]
        if closed:
            await asyncio.wait(closed, timeout=seconds)


class ServedConnection(Peer):
    """A connection of one caller."""

    def __init__(self, serving: Serving) -> None:
        super().__init__(stream_window=serving.most_bytes + PREFIX + _MOST_ON_THE_WAY, table=TABLE_BYTES)
        self._serving = serving
        self._exchanges: dict[int, _Exchange] = {}
        self._greeted = False
        self._said_all = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        """Takes no more calls, and closes when those that there are have ended."""
        self.say_leaving()
        self._close_when_done()

    def cut(self) -> None:
        """Tells everybody who still waits that there will be no answer."""
        for number, exchange in list(self._exchanges.items()):
            self._end_early(number, exchange, _status(grpc.StatusCode.UNAVAILABLE, "the server is leaving"))

    # asyncio's own names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._serving.connections.add(self)
        if self._serving.leaving:  # it was accepted before, and is told of only now
            self.leave()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._serving.connections.discard(self)
        self.closed.set_result(None)
        self._writable.set()
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            _give_up(exchange)

    def data_received(self, data: bytes) -> None:
        if self._said_all:
            return
        if not self._greeted:
            data = self._unread + data
            if not data.startswith(PREFACE[: len(data)]):
                self._transport.abort()
                return
            if len(data) < len(PREFACE):
                self._unread = data
                return
            self._greeted, self._unread, data = True, b"", data[len(PREFACE) :]
        super().data_received(data)

    # What a stream means

    def on_headers(self, number: int, headers: Headers, *, last: bool) -> None:
        exchange = self._exchanges.get(number)
        if exchange is not None:
            if last:
                self._heard_all(number, exchange)
            return
        if number % 2 == 0:
            raise BrokenConnectionError("a stream that callers do not open")
        if number <= self._newest:
            return  # of a call that has been answered
        if self._serving.leaving:
            self.reset(number, REFUSED_STREAM)
            return
        self._newest = number
        self.open(number)
        method = self._serving.methods.get(headers.get(b":path", b""))
        grpc_is_spoken = headers.get(b"content-type", b"").startswith(b"application/grpc")
        if method is None or not grpc_is_spoken:
            self.end(number, _HEAD + _NO_SUCH_METHOD if grpc_is_spoken else _NOT_GRPC)
            if not last:
                self.reset(number, NO_ERROR)
            return
        exchange = self._exchanges[number] = _Exchange(method, headers, Messages(self._serving.most_bytes))
        if method.client_streaming:
            self._start(number, exchange, self._each(number, exchange))
        if last:
            self._heard_all(number, exchange)

    def on_data(self, number: int, data: bytes, *, last: bool) -> None:
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        try:
            exchange.messages.add(data)
        except Refusal as refusal:
            self._end_early(number, exchange, _trailers(refusal))
            return
        if last:
            self._heard_all(number, exchange)

    def on_reset(self, number: int, error: int) -> None:
        del error
        exchange = self._exchanges.pop(number, None)
        if exchange is not None:
            _give_up(exchange)
        self._close_when_done()

    def on_going_away(self, last_number: int) -> None:
        """The caller opens no more: what it asked is answered."""

    def on_sent(self, number: int) -> None:
        exchange = self._exchanges.get(number)
        if exchange is None:
            self._close_when_done()
        elif exchange.waiting is not None and not exchange.waiting.done():
            exchange.waiting.set_result(None)

    # Answering

    def _heard_all(self, number: int, exchange: _Exchange) -> None:
        exchange.messages.end()
        if exchange.method.client_streaming or exchange.task is not None:
            return
        try:
            request = exchange.messages.only()
        except Refusal as refusal:
            self._end_early(number, exchange, _trailers(refusal))
            return
        self._start(number, exchange, request)

    def _start(self, number: int, exchange: _Exchange, request: bytes | AsyncIterator[bytes]) -> None:
        answering = self._answer_each if exchange.method.server_streaming else self._answer
        exchange.task = asyncio.get_running_loop().create_task(answering(number, exchange, request))

    async def _answer(self, number: int, exchange: _Exchange, request: bytes | AsyncIterator[bytes]) -> None:
        trailers = _DONE
        answer = b""
        self._serving.running.add(exchange)
        try:
            answer = await exchange.method.serve(request, exchange.headers)
            self._require_short(answer)
        except BaseException as error:  # noqa: BLE001 - each becomes a status, or is raised again
            trailers = _trailers(error)
        finally:
            self._serving.running.discard(exchange)
        if self._exchanges.pop(number, None) is None:
            return  # nobody waits for it any more
        if trailers is _DONE:
            self.answer(number, _HEAD, framed(answer), trailers)
        else:
            self.end(number, _HEAD + trailers)
        self._finish(number, exchange)

    async def _answer_each(self, number: int, exchange: _Exchange, request: bytes | AsyncIterator[bytes]) -> None:
        trailers = _DONE
        answers = exchange.method.serve(request, exchange.headers)
        self._serving.running.add(exchange)
        try:
            seconds = min(seconds_given(exchange.headers), exchange.method.seconds)
            exchange.until = None if seconds == math.inf else asyncio.get_running_loop().time() + seconds
            try:
                async for answer in answers:
                    self._require_short(answer)
                    await self._put(number, exchange, answer)
            finally:
                await answers.aclose()
        except TimeoutError:  # its reader stood still
            if self._exchanges.pop(number, None) is not None:
                self.reset(number)
                self._close_when_done()
            return
        except BaseException as error:  # noqa: BLE001 - each becomes a status, or is raised again
            trailers = _trailers(error)
        finally:
            self._serving.running.discard(exchange)
        if self._exchanges.pop(number, None) is None:
            return
        self.end(number, trailers if exchange.begun else _HEAD + trailers)
        self._finish(number, exchange)

    async def _put(self, number: int, exchange: _Exchange, answer: bytes) -> None:
        """Sends one answer of a stream, once those before it are on their way."""
        if not exchange.begun:
            exchange.begun = True
            self.begin(number, _HEAD)
        exchange.waiting = asyncio.get_running_loop().create_future()
        self.put(number, framed(answer))
        if exchange.waiting.done() and self._writable.is_set():
            await asyncio.sleep(0)  # a stream that never waits must let others have their turn
            return
        async with asyncio.timeout_at(exchange.until):
            await exchange.waiting
            await self._writable.wait()

    async def _each(self, number: int, exchange: _Exchange) -> AsyncIterator[bytes]:
        """The caller's messages; as they are taken, it may send more."""
        while (message := await exchange.messages.next()) is not None:
            self.widen(number, len(message) + PREFIX)
            yield message

    def _require_short(self, answer: bytes) -> None:
        if len(answer) > self._serving.most_bytes:
            raise Refusal(PlatformReason.PAYLOAD_TOO_LARGE, f"an answer of {len(answer)} bytes")

    def _end_early(self, number: int, exchange: _Exchange, trailers: bytes) -> None:
        """Ends a call without its handler."""
        del self._exchanges[number]
        _give_up(exchange)
        self.end(number, trailers if exchange.begun else _HEAD + trailers)
        self._finish(number, exchange)

    def _finish(self, number: int, exchange: _Exchange) -> None:
        if not exchange.messages.ended and not self.is_sending(number):
            self.reset(number, NO_ERROR)
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._exchanges or self._bodies or self._said_all or not self._serving.leaving:
            return
        self._said_all = True
        if isinstance(self._transport.get_extra_info("sockname"), tuple):
            # Over TCP a closed socket takes from a caller who says anything more what it has not read yet: it closes first.
            self._transport.write_eof()
        else:
            self._transport.close()


def seconds_given(headers: Headers) -> float:
    """What ``grpc-timeout`` says: at most eight digits and a unit; for ever, when it says nothing.

    Raises:
        Refusal: INVALID_ARGUMENT: It says something else.
    """
    said = headers.get(b"grpc-timeout", b"")
    if not said:
        return math.inf
    unit, digits = _UNITS.get(said[-1:]), said[:-1]
    if unit is None or not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise Refusal(PlatformReason.INVALID_ARGUMENT, "grpc-timeout is no time")
    return int(digits) * unit


def _give_up(exchange: _Exchange) -> None:
    if exchange.task is not None:
        exchange.task.cancel()


def _trailers(error: BaseException) -> bytes:
    """How a call ends that failed."""
    if isinstance(error, Refusal):
        code, details = to_status(error)
        packed = base64.b64encode(details).rstrip(b"=")
        return _status(code, error.detail) + literal(DETAILS_KEY.encode(), packed)
    if isinstance(error, asyncio.CancelledError):
        return _status(grpc.StatusCode.CANCELLED, "cancelled")
    if not isinstance(error, Exception):
        raise error
    _log.error("a call could not be answered", exc_info=error)
    return _status(grpc.StatusCode.INTERNAL, "something went wrong here; it has been logged")


def _status(code: grpc.StatusCode, said: str) -> bytes:
    number: int = code.value[0]
    return literal(b"grpc-status", b"%d" % number) + literal(b"grpc-message", quote(said, safe=_PLAIN).encode())


_NO_SUCH_METHOD = _status(grpc.StatusCode.UNIMPLEMENTED, "there is no such method here")
