"""One end of a connection: frames, settings and flow control. What a stream means is for whoever is built on it."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, cast

from tricorn.wire.http2.hpack import BrokenHeadersError, Decoder, Headers, decoded

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_HEADERS = 8 * 1024 * 1024
CANCEL = 0x8
REFUSED_STREAM = 0x7
ENHANCE_YOUR_CALM = 0xB

NO_ERROR, _PROTOCOL_ERROR = 0x0, 0x1
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_TABLE_SIZE, _ENABLE_PUSH, _MOST_STREAMS, _STREAM_WINDOW, _MOST_HEADERS = 1, 2, 3, 4, 6

_HEAD = 9
_FRAME = 16_384  # what every peer takes
_WINDOW = 65_535  # what every peer grants at first
_MOST = 2**31 - 1
_RENEW = 2**30
_SETTING = 6
_ID = 4
_ERROR = 4
_PRIORITY_BYTES = 5
_MOST_UNREAD = 10_000  # acknowledgements


class BrokenConnectionError(Exception):
    """The peer does not speak HTTP/2 as it should."""


class Body:
    """What a stream has still to send, and how much of it the peer takes.

    Args:
        last: Whether the stream ends behind it.
        trailers: The block of headers that ends it, when the last bytes do not.
    """

    __slots__ = ("last", "rest", "trailers", "window")

    def __init__(self, window: int, rest: bytes = b"", *, last: bool = True, trailers: bytes = b"") -> None:
        self.window = window
        self.rest = memoryview(rest)
        self.last = last
        self.trailers = trailers


class Peer(asyncio.Protocol, ABC):
    """Sends messages and reads frames. It grants its peer all that can be granted.

    Args:
        greeting: What is said first.
        stream_window: How much the peer may send on a stream: bytes.
        table: The table of headers that the peer may fill: bytes. With none, blocks are read by `hpack.decoded`.
    """

    def __init__(self, greeting: bytes = b"", stream_window: int = _MOST, table: int = 0) -> None:
        self.most_streams = _MOST
        self._greeting = greeting
        self._granted = (
            (_TABLE_SIZE, table),
            (_ENABLE_PUSH, 0),
            (_STREAM_WINDOW, stream_window),
            (_MOST_HEADERS, MOST_HEADERS),
        )
        self._decoded = Decoder(table).decoded if table else decoded
        self._transport: asyncio.Transport
        self._unread = b""
        self._window = _WINDOW
        self._stream_window = _WINDOW
        self._bodies: dict[int, Body] = {}
        self._lined_up: dict[int, Body] = {}  # those that nothing holds up but the connection's window
        self._newest = 0  # of the streams that the peer opened
        self._writable = asyncio.Event()
        self._writable.set()
        self._acknowledged = 0
        self._received = 0
        self._block: tuple[int, bool, bytearray] | None = None

    # What a stream means

    @abstractmethod
    def on_headers(self, number: int, headers: Headers, *, last: bool) -> None: ...

    @abstractmethod
    def on_data(self, number: int, data: bytes, *, last: bool) -> None: ...

    @abstractmethod
    def on_reset(self, number: int, error: int) -> None: ...

    @abstractmethod
    def on_going_away(self, last_number: int) -> None:
        """The peer takes no more streams, and none after this one of those that it got."""

    def on_settings(self) -> None:
        """The peer said what it takes: for the first time, or anew."""

    def on_sent(self, number: int) -> None:
        """All that a stream had to send so far is on its way."""

    # asyncio's own names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in self._granted)
        more = (_MOST - _WINDOW).to_bytes(4)
        self._transport.write(self._greeting + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, more))

    def data_received(self, data: bytes) -> None:
        if self._unread:
            data = self._unread + data
        at, end = 0, len(data)
        try:
            while end - at >= _HEAD:
                stop = at + _HEAD + _length(data, at)
                if stop > end:
                    break
                number = int.from_bytes(data[at + 5 : at + _HEAD]) & _MOST
                self._read(data[at + 3], data[at + 4], number, data[at + _HEAD : stop])
                at = stop
        except (BrokenConnectionError, BrokenHeadersError) as error:
            self.give_up(error)
            return
        self._unread = data[at:]

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._acknowledged = 0
        self._writable.set()

    def eof_received(self) -> None:
        self._transport.abort()  # nothing is answered any more, and closing would wait for what nobody reads

    def give_up(self, error: Exception) -> None:
        """The connection is of no use any more; who waits for it is told by `connection_lost`."""
        self._say_goodbye(_PROTOCOL_ERROR, str(error).encode())
        self._transport.abort()  # what it does not read keeps nobody waiting

    def abort(self) -> None:
        """Closes at once; what was not sent yet is lost."""
        self._transport.abort()

    def close(self) -> None:
        self._say_goodbye(NO_ERROR, b"")

    def say_leaving(self, error: int = NO_ERROR, why: bytes = b"") -> None:
        """Says that none of the peer's streams is taken but those that were."""
        if not self._transport.is_closing():
            self._transport.write(_frame(_GOAWAY, 0, 0, self._newest.to_bytes(_ID) + error.to_bytes(_ERROR) + why))

    def _say_goodbye(self, error: int, why: bytes) -> None:
        self.say_leaving(error, why)
        self._transport.close()

    # Sending

    def send(self, number: int, headers: bytes, body: bytes) -> None:
        """Sends all of a stream: a block of headers and a body, as soon as the peer has room for it."""
        size = len(body)
        stream = number.to_bytes(_ID)
        if len(headers) <= _FRAME and size <= min(_FRAME, self._window, self._stream_window):
            self._window -= size
            self._transport.write(
                b"%b\x01\x04%b%b%b\x00\x01%b%b"
                % (len(headers).to_bytes(3), stream, headers, size.to_bytes(3), stream, body)
            )
            return
        self._transport.write(_header_frames(number, headers))
        self._bodies[number] = Body(self._stream_window, body)
        self._send_body(number)

    def open(self, number: int) -> None:
        """Begins to keep how much the peer takes of a stream that it opened."""
        self._bodies[number] = Body(self._stream_window, last=False)

    def answer(self, number: int, headers: bytes, body: bytes, trailers: bytes) -> None:
        """Sends all of a stream that the peer opened: a body between two short blocks of headers."""
        waiting = self._bodies.pop(number)
        size = len(body)
        if size <= min(_FRAME, self._window, waiting.window):
            self._window -= size
            stream = number.to_bytes(_ID)
            self._transport.write(
                b"%b\x01\x04%b%b%b\x00\x00%b%b%b\x01\x05%b%b"
                % (
                    *(len(headers).to_bytes(3), stream, headers),
                    *(size.to_bytes(3), stream, body),
                    *(len(trailers).to_bytes(3), stream, trailers),
                )
            )
            return
        self._transport.write(_header_frames(number, headers))
        self._bodies[number] = Body(waiting.window, body, trailers=trailers)
        self._send_body(number)

    def begin(self, number: int, headers: bytes) -> None:
        """Sends the headers of a stream that the peer opened."""
        self._transport.write(_header_frames(number, headers))

    def put(self, number: int, part: bytes) -> None:
        """Sends a part of it; the one before has been sent (`on_sent`)."""
        self._bodies[number].rest = memoryview(part)
        self._send_body(number)

    def end(self, number: int, trailers: bytes) -> None:
        """Ends it, behind what is still to be sent."""
        body = self._bodies[number]
        body.last, body.trailers = True, trailers
        self._send_body(number)

    def widen(self, number: int, by: int) -> None:
        """Lets the peer send more on a stream: bytes."""
        self._transport.write(_frame(_WINDOW_UPDATE, 0, number, by.to_bytes(4)))

    def is_sending(self, number: int) -> bool:
        """Whether some of a stream's body is still to be sent."""
        return number in self._bodies

    def stop_sending(self, number: int) -> None:
        """Keeps nothing more of a stream's body."""
        self._bodies.pop(number, None)
        self._lined_up.pop(number, None)

    def reset(self, number: int, error: int = CANCEL) -> None:
        """Ends a stream before its time."""
        self.stop_sending(number)
        if not self._transport.is_closing():
            self._transport.write(_frame(_RST_STREAM, 0, number, error.to_bytes(_ERROR)))

    def _send_body(self, number: int) -> None:
        """Sends what a stream has to send, when its turn comes."""
        self._line_up(number, self._bodies[number])
        self._send_bodies()

    def _send_bodies(self) -> None:
        """Sends a frame of each stream in turn, so that none waits for another to end."""
        while self._lined_up and self._window > 0:
            number = next(iter(self._lined_up))
            body = self._lined_up.pop(number)
            size = min(len(body.rest), body.window, self._window, _FRAME)
            part, body.rest = body.rest[:size], body.rest[size:]
            body.window -= size
            self._window -= size
            ends = body.last and not body.rest and not body.trailers
            self._transport.write(_frame(_DATA, _END_STREAM if ends else 0, number, bytes(part)))
            self._line_up(number, body)

    def _line_up(self, number: int, body: Body) -> None:
        """Gives a stream its next turn, or ends it."""
        if body.rest:
            if body.window > 0:
                self._lined_up[number] = body
            return
        if body.trailers:
            self._transport.write(_header_frames(number, body.trailers, _END_STREAM))
        if body.last:
            del self._bodies[number]
        self.on_sent(number)

    # Reading

    def _read(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and (kind != _CONTINUATION or number != self._block[0]):
            raise BrokenConnectionError("headers that are broken off")
        if kind == _DATA:
            self._take(len(payload))
            data, last = _without_padding(flags, payload), bool(flags & _END_STREAM)
            if len(data) < len(payload) and not last:
                self.widen(number, len(payload) - len(data))
            self.on_data(number, data, last=last)
        elif kind == _HEADERS:
            block = _without_padding(flags, payload)
            block = block[_PRIORITY_BYTES:] if flags & _PRIORITY else block
            self._block = (number, bool(flags & _END_STREAM), bytearray(block))
            self._end_block(flags)
        elif (heed := self._heeded.get(kind)) is not None:  # else it is PRIORITY, or not known yet
            heed(self, flags, number, payload)

    def _continued(self, flags: int, _: int, payload: bytes) -> None:
        if self._block is None or len(self._block[2]) + len(payload) > MOST_HEADERS:
            raise BrokenConnectionError("headers that go on for too long, or from nowhere")
        self._block[2].extend(payload)
        self._end_block(flags)

    def _was_reset(self, _: int, number: int, payload: bytes) -> None:
        self.stop_sending(number)
        self.on_reset(number, int.from_bytes(payload))

    def _pinged(self, flags: int, _: int, payload: bytes) -> None:
        if not flags & _ACK:
            self._acknowledge(_frame(_PING, _ACK, 0, payload))

    def _left(self, _: int, __: int, payload: bytes) -> None:
        self.on_going_away(int.from_bytes(payload[:_ID]) & _MOST)

    def _end_block(self, flags: int) -> None:
        if flags & _END_HEADERS and self._block is not None:
            number, last, block = self._block
            self._block = None
            self.on_headers(number, self._decoded(bytes(block)), last=last)

    def _set(self, flags: int, _: int, settings: bytes) -> None:
        if flags & _ACK:
            return
        for at in range(0, len(settings), _SETTING):
            key, value = int.from_bytes(settings[at : at + 2]), int.from_bytes(settings[at + 2 : at + _SETTING])
            if key == _MOST_STREAMS:
                self.most_streams = value
            elif key == _STREAM_WINDOW:
                for body in self._bodies.values():
                    body.window += value - self._stream_window
                self._stream_window = value
                self._lined_up = {
                    number: body for number, body in self._bodies.items() if body.rest and body.window > 0
                }
        self._acknowledge(_frame(_SETTINGS, _ACK, 0, b""))
        self._send_bodies()
        self.on_settings()

    def _widened(self, _: int, number: int, payload: bytes) -> None:
        by = int.from_bytes(payload) & _MOST
        if not number:
            self._window += by
        elif (body := self._bodies.get(number)) is not None:
            body.window += by
            if body.rest and body.window > 0:
                self._lined_up[number] = body
        self._send_bodies()

    def _acknowledge(self, frame: bytes) -> None:
        if not self._writable.is_set():
            self._acknowledged += 1
            if self._acknowledged > _MOST_UNREAD:
                raise BrokenConnectionError("it asks, and does not read the answers")
        self._transport.write(frame)

    def _take(self, size: int) -> None:
        self._received += size
        if self._received >= _RENEW:
            self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, self._received.to_bytes(4)))
            self._received = 0

    _heeded: ClassVar = {
        _RST_STREAM: _was_reset,
        _SETTINGS: _set,
        _PING: _pinged,
        _GOAWAY: _left,
        _WINDOW_UPDATE: _widened,
        _CONTINUATION: _continued,
    }


def _length(data: bytes, at: int) -> int:
    length = int.from_bytes(data[at : at + 3])
    if length > _FRAME:
        raise BrokenConnectionError(f"a frame of {length} bytes")
    return length


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return b"%b%c%c%b%b" % (len(payload).to_bytes(3), kind, flags, number.to_bytes(_ID), payload)


def _header_frames(number: int, headers: bytes, flags: int = 0) -> bytes:
    parts = [headers[at : at + _FRAME] for at in range(0, len(headers), _FRAME)]
    return b"".join(
        _frame(
            _CONTINUATION if place else _HEADERS,
            (0 if place else flags) | (0 if place < len(parts) - 1 else _END_HEADERS),
            number,
            part,
        )
        for place, part in enumerate(parts)
    )


def _without_padding(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise BrokenConnectionError("padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]
