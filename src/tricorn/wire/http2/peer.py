"""One end of a connection: frames, settings and flow control. What a stream means is for whoever is built on it."""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, cast

from tricorn.wire.http2.hpack import BrokenHeadersError, Headers, decoded

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MOST_HEADERS = 8 * 1024 * 1024
CANCEL = 0x8
REFUSED_STREAM = 0x7
ENHANCE_YOUR_CALM = 0xB

_NO_ERROR, _PROTOCOL_ERROR = 0x0, 0x1
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


class BrokenConnectionError(Exception):
    """The peer does not speak HTTP/2 as it should."""


class _Body:
    """What is left of a message that its windows do not let through at once."""

    __slots__ = ("rest", "window")

    def __init__(self, rest: bytes, window: int) -> None:
        self.rest = memoryview(rest)
        self.window = window


class Peer(asyncio.Protocol, ABC):
    """Sends messages and reads frames. It grants its peer all that can be granted, and no table of headers."""

    def __init__(self) -> None:
        self.most_streams = _MOST
        self._transport: asyncio.Transport
        self._unread = b""
        self._window = _WINDOW
        self._stream_window = _WINDOW
        self._bodies: dict[int, _Body] = {}
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

    # asyncio's own names

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = b"".join(
            key.to_bytes(2) + value.to_bytes(4)
            for key, value in (
                (_TABLE_SIZE, 0),
                (_ENABLE_PUSH, 0),
                (_STREAM_WINDOW, _MOST),
                (_MOST_HEADERS, MOST_HEADERS),
            )
        )
        more = (_MOST - _WINDOW).to_bytes(4)
        self._transport.write(PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, more))

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

    def eof_received(self) -> None:
        self._transport.abort()  # nothing is answered any more, and closing would wait for what nobody reads

    def give_up(self, error: Exception) -> None:
        """The connection is of no use any more; who waits for it is told by `connection_lost`."""
        self._say_goodbye(_PROTOCOL_ERROR, str(error).encode())
        self._transport.abort()  # what it does not read keeps nobody waiting

    def close(self) -> None:
        self._say_goodbye(_NO_ERROR, b"")

    def _say_goodbye(self, error: int, why: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(_frame(_GOAWAY, 0, 0, bytes(_ID) + error.to_bytes(_ERROR) + why))
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
        self._bodies[number] = _Body(body, self._stream_window)
        self._send_bodies()

    def is_sending(self, number: int) -> bool:
        """Whether some of a stream's body is still to be sent."""
        return number in self._bodies

    def stop_sending(self, number: int) -> None:
        """Keeps nothing more of a stream's body."""
        self._bodies.pop(number, None)

    def reset(self, number: int, error: int = CANCEL) -> None:
        """Ends a stream before its time."""
        self.stop_sending(number)
        if not self._transport.is_closing():
            self._transport.write(_frame(_RST_STREAM, 0, number, error.to_bytes(_ERROR)))

    def _send_bodies(self) -> None:
        for number, body in list(self._bodies.items()):
            while (size := min(len(body.rest), body.window, self._window, _FRAME)) > 0:
                part, body.rest = body.rest[:size], body.rest[size:]
                body.window -= size
                self._window -= size
                self._transport.write(_frame(_DATA, 0 if body.rest else _END_STREAM, number, bytes(part)))
            if not body.rest:
                del self._bodies[number]

    # Reading

    def _read(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and (kind != _CONTINUATION or number != self._block[0]):
            raise BrokenConnectionError("headers that are broken off")
        if kind == _DATA:
            self._take(len(payload))
            self.on_data(number, _without_padding(flags, payload), last=bool(flags & _END_STREAM))
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
        self._bodies.pop(number, None)
        self.on_reset(number, int.from_bytes(payload))

    def _pinged(self, flags: int, _: int, payload: bytes) -> None:
        if not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))

    def _left(self, _: int, __: int, payload: bytes) -> None:
        self.on_going_away(int.from_bytes(payload[:_ID]) & _MOST)

    def _end_block(self, flags: int) -> None:
        if flags & _END_HEADERS and self._block is not None:
            number, last, block = self._block
            self._block = None
            self.on_headers(number, decoded(bytes(block)), last=last)

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
        self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        self._send_bodies()
        self.on_settings()

    def _widened(self, _: int, number: int, payload: bytes) -> None:
        by = int.from_bytes(payload) & _MOST
        if not number:
            self._window += by
        elif number in self._bodies:
            self._bodies[number].window += by
        self._send_bodies()

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


def _header_frames(number: int, headers: bytes) -> bytes:
    parts = [headers[at : at + _FRAME] for at in range(0, len(headers), _FRAME)]
    return b"".join(
        _frame(_CONTINUATION if place else _HEADERS, 0 if place < len(parts) - 1 else _END_HEADERS, number, part)
        for place, part in enumerate(parts)
    )


def _without_padding(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise BrokenConnectionError("padding that is longer than its frame")
    return payload[1 : len(payload) - payload[0]]
