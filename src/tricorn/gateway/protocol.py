"""HTTP/1.1 on a connection: uvicorn's httptools protocol with the limits it lacks.

Added are bounds on the head of a request (bytes, fields, time), problem+json for what cannot be parsed, an end for
clients that do not read their answers, a farewell that clients still sending can read, and upgrades passed through to
mounts in other processes.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from tricorn import telemetry
from tricorn.contract import PlatformReason
from tricorn.gateway.app import Gateway
from tricorn.gateway.config import Limits
from tricorn.gateway.problems import CONTENT_TYPE, Problem, problem
from tricorn.gateway.upstream import Tunnel, Upstream

_LONGEST_SILENCE_WHILE_WRITING = 30.0
_NEEDS_HOST = "1.1"
_LINGER_TIME = 5.0
"""Seconds for which a client may go on sending what no one wants after it has got its last answer."""


class _HeadError(Exception):
    """The head of a request goes beyond a limit or is ambiguous; the parser stops at it."""


class _LingeringTransport:
    """What a request and its answer see of the connection: closing it is left to the protocol."""

    __slots__ = ("_protocol", "is_closing", "write")

    def __init__(self, protocol: "HttpProtocol") -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        self._protocol.close_after_answer()


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    limits = Limits()
    gateway: Gateway | None = None
    tunnels: set[Tunnel]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._field_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._fault: Problem | None = None
        self._unsent = 0
        self._unsent_since = 0.0
        self._lingers = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        self._head_bytes += len(data) if self._in_head or self._is_idle else 0
        super().data_received(data)
        if self.parser is None or self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > self.limits.header_bytes:
            self._refuse_head(431, "the headers are too large")
            self.send_400_response("")
        elif self._in_head or (self._is_idle and self.timeout_keep_alive_task is None):
            self._arm()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def is_busy(self) -> bool:
        """Whether a request is being read or answered."""
        return not self._lingers and (self._in_head or not self._is_idle)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._field_bytes = 0
        self._fault = None

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self.limits.target:
            self._refuse_head(414, "the request's target is too long")
            raise _HeadError

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._field_bytes += len(name) + len(value)
        if len(self.headers) > self.limits.header_count or self._field_bytes > self.limits.header_bytes:
            self._refuse_head(
                431, f"there may be {self.limits.header_count} headers of {self.limits.header_bytes} bytes in all"
            )
            raise _HeadError

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._disarm()
        if self._is_ambiguous():
            raise _HeadError
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = _LingeringTransport(self)  # type: ignore[assignment]

    def _is_ambiguous(self) -> bool:
        """Whether it is not said for whom the request is, or its body comes in a coding that nobody here undoes."""
        hosts = codings = 0
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked":
                    return True
        return hosts > 1 or codings > 1 or (hosts == 0 and self.parser.get_http_version() == _NEEDS_HOST)

    def on_response_complete(self) -> None:
        if self._lingers:
            self.server_state.total_requests += 1
        else:
            super().on_response_complete()

    def close_after_answer(self) -> None:
        """Closes, at once or, when the client is still sending its request, once it has stopped.

        A socket closed with input unread resets the connection, and the client loses the answer it has not read yet.
        """
        if self.cycle is not None and self.cycle.more_body:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        if self._lingers or self.transport.is_closing():
            return
        self._lingers = True
        self._disarm()
        self._unset_keepalive_if_required()
        self.transport.write_eof()
        self.flow.resume_reading()
        self._head_timer = self.loop.call_later(_LINGER_TIME, self.transport.abort)

    def send_400_response(self, msg: str) -> None:
        """Answers what could not be read as HTTP, and closes.

        A request that was read before it is answered first; the answer then is the last one.
        """
        self._disarm()
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete and (cycle.response_started or not cycle.more_body):
            cycle.keep_alive = False
            if cycle.more_body:
                self._linger()
            return
        with telemetry.span("unreadable request", kind="server") as span:
            trace_id = span.context.trace_id
        found = self._fault or problem(PlatformReason.MALFORMED_REQUEST, msg or "this is not HTTP")
        body = found.body(trace_id)
        head = [STATUS_LINE[found.status]]
        head += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        head.append(b"content-type: %b\r\ncontent-length: %d\r\n" % (CONTENT_TYPE.encode(), len(body)))
        head.append(b"x-trace-id: %b\r\n" % trace_id.encode())
        head.append(b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n")
        self.transport.write(b"".join(head) + body)
        self._linger()

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def end_if_stuck(self, now: float) -> None:
        """Ends the connection when its client has read nothing of an answer for a long time. Called now and then."""
        unsent = self.transport.get_write_buffer_size() if self.transport is not None else 0
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > _LONGEST_SILENCE_WHILE_WRITING:
            self.transport.abort()

    def _should_upgrade(self) -> bool:
        return (self._get_upgrade() is not None and self._upstream() is not None) or super()._should_upgrade()

    def _upstream(self) -> Upstream | None:
        if self.gateway is None:
            return None
        mounted = self.gateway.mounts.raw(self.url.partition(b"?")[0].decode("latin-1"))
        return mounted if isinstance(mounted, Upstream) else None

    def handle_websocket_upgrade(self) -> None:
        upstream = self._upstream()
        if upstream is None or self.gateway is None:
            super().handle_websocket_upgrade()
            return
        peer = self.client[0] if self.client else ""
        headers = self.gateway.mounts.clean(self.headers, peer)
        head = [f"{self.scope['method']} ".encode() + self.url + b" HTTP/1.1\r\n"]
        head += [name + b": " + value + b"\r\n" for name, value in headers]
        self._disarm()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        tunnel = Tunnel(self.transport, self.tunnels)
        self.transport.set_protocol(tunnel)
        tunnel.open(upstream.path, b"".join(head) + b"\r\n")

    def _refuse_head(self, status: int, detail: str) -> None:
        self._fault = problem(PlatformReason.PAYLOAD_TOO_LARGE, detail)
        self._fault.status = status

    def _arm(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.header_time, self._head_time_is_over)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_time_is_over(self) -> None:
        self._head_timer = None
        if self.transport.is_closing() or not (self._in_head or self._is_idle):
            return
        if self._in_head:
            self._fault = problem(PlatformReason.DEADLINE_EXCEEDED, "the headers did not come in time")
            self._fault.status = 408
            self.send_400_response("")
        else:
            self.transport.close()


def protocol_class(gateway: Gateway, tunnels: set[Tunnel]) -> type[HttpProtocol]:
    """The protocol for one gateway; uvicorn makes an instance for each connection."""

    class Bound(HttpProtocol):
        pass

    Bound.limits = gateway.config.limits
    Bound.gateway = gateway
    Bound.tunnels = tunnels
    return Bound


def sweep(connections: set[Any]) -> None:
    """Ends connections whose clients do not read."""
    now = time.monotonic()
    for connection in list(connections):
        connection.end_if_stuck(now)
