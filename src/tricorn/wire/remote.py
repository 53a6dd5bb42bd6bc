"""The way to an implementation in another process: gRPC over a unix socket or TCP."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy
from tricorn.wire.call import Call
from tricorn.wire.errors import from_error, refusal_of
from tricorn.wire.http2.calls import Connection
from tricorn.wire.http2.hpack import literal, text

MAX_MESSAGE_BYTES = 8 * 1024 * 1024

_UNIX = "unix:"
# What begins every call: the static table's `:method: POST` and `:scheme: http`, and the names of what follows.
_POST = b"\x83\x86\x04"
_GRPC = b"\x01\x09localhost" + literal(b"te", b"trailers") + b"\x0f\x10" + text(b"application/grpc")
_MOST_DIGITS = 99_999_999

_OPTIONS = [
    # Servers other than grpcio refuse the escaped socket path that grpcio would send as authority.
    ("grpc.default_authority", "localhost"),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A refusal names every broken rule in its trailing metadata; the default of 8 KiB holds about forty.
    ("grpc.max_metadata_size", MAX_MESSAGE_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Retries are the wire's own: it knows which calls may be repeated.
    ("grpc.enable_retries", 0),
]


class RemoteChannel:
    """A channel to ``unix:PATH`` or ``HOST:PORT``; several addresses share the calls in turn."""

    def __init__(self, address: str) -> None:
        self.target = address
        self._socket = _Socket(address.removeprefix(_UNIX)) if address.startswith(_UNIX) else None
        self._channel: grpc.aio.Channel | None = None
        self._calls: dict[str, Any] = {}

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._channel is not None:
            await self._channel.close(None)

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message:
        if self._socket is not None and isinstance(request, Message):
            return await self._socket.unary(policy, request, call)
        try:
            answer: Message = await self._multicallable(policy)(
                request, timeout=max(call.remaining(), 0), metadata=_metadata(call)
            )
        except grpc.aio.AioRpcError as error:
            raise from_error(error) from None
        return answer

    async def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]:
        answers = self._multicallable(policy)(request, timeout=max(call.remaining(), 0), metadata=_metadata(call))
        try:
            async for answer in answers:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise from_error(error) from None
        finally:
            answers.cancel()

    def _multicallable(self, policy: MethodPolicy) -> Any:
        made = self._calls.get(policy.full_name)
        if made is None:
            if self._channel is None:
                self._channel = grpc.aio.insecure_channel(self.target, options=_OPTIONS)
            kind = {
                (False, False): self._channel.unary_unary,
                (False, True): self._channel.unary_stream,
                (True, False): self._channel.stream_unary,
                (True, True): self._channel.stream_stream,
            }[policy.client_streaming, policy.server_streaming]
            made = self._calls[policy.full_name] = kind(
                f"/{policy.full_name}",
                request_serializer=policy.input.SerializeToString,
                response_deserializer=policy.output.FromString,
            )
        return made


class _Socket:
    """Unary calls over a unix socket, all on one connection that is made anew when it is lost."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._heads: dict[str, bytes] = {}
        self._closed = False

    async def unary(self, policy: MethodPolicy, request: Message, call: Call) -> Message:
        message = policy.input.SerializeToString(request)
        if len(message) > MAX_MESSAGE_BYTES:
            raise refusal_of(grpc.StatusCode.RESOURCE_EXHAUSTED, f"a request of {len(message)} bytes")
        about = b"".join(map(_header, _metadata(call)))
        connection = self._connection
        if connection is None or connection.full or not connection.usable:
            connection = await self._ready(call)
        seconds = call.remaining()
        answer = await connection.unary(self._headers(policy, max(seconds, 0)) + about, message, seconds)
        try:
            return policy.output.FromString(answer)
        except DecodeError:
            raise refusal_of(
                grpc.StatusCode.INTERNAL, f"the answer is no {policy.output.DESCRIPTOR.full_name}"
            ) from None

    def close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()

    async def _ready(self, call: Call) -> Connection:
        """A connection that takes one more call."""
        try:
            async with asyncio.timeout(max(call.remaining(), 0)):
                while True:
                    connection = await self._connected()
                    if not connection.full:
                        return connection
                    await connection.room()
        except TimeoutError:
            raise refusal_of(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"no connection to {self._path} in time", sent=False
            ) from None
        except OSError as error:
            raise refusal_of(
                grpc.StatusCode.UNAVAILABLE, f"failed to connect to {self._path}: {error}", sent=False
            ) from None

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._closed:
                raise ConnectionAbortedError("the channel is closed")
            if self._connection is None or not self._connection.usable:
                self._connection = await self._greeted()
            return self._connection

    async def _greeted(self) -> Connection:
        """A new connection on which the server has said what it takes: before that nobody may be there to take anything."""
        make = partial(Connection, MAX_MESSAGE_BYTES)
        _, connection = await asyncio.get_running_loop().create_unix_connection(make, self._path)
        try:
            await connection.greeted
        except BaseException:
            connection.close()
            raise
        if self._closed or not connection.usable:
            connection.close()
            raise ConnectionResetError("it hung up")
        return connection

    def _headers(self, policy: MethodPolicy, seconds: float) -> bytes:
        head = self._heads.get(policy.full_name)
        if head is None:
            head = self._heads[policy.full_name] = _POST + text(f"/{policy.full_name}".encode()) + _GRPC
        return head + literal(b"grpc-timeout", _timeout(seconds))


def _timeout(seconds: float) -> bytes:
    """At most eight digits and a unit; microseconds where they will do."""
    microseconds = int(seconds * 1e6)
    return b"%du" % microseconds if microseconds <= _MOST_DIGITS else b"%dS" % min(int(seconds), _MOST_DIGITS)


def _header(pair: tuple[str, str]) -> bytes:
    name, value = pair
    if not (value.isascii() and value.isprintable()):
        message = f"{name} is no text that a header may be"
        raise ValueError(message)
    return literal(name.encode(), value.encode())


def _metadata(call: Call) -> list[tuple[str, str]]:
    sent = [(f"tricorn-meta-{key}", value) for key, value in call.metadata.items()]
    if call.identity is not None:
        sent += [
            ("tricorn-user-id", call.identity.user_id),
            ("tricorn-session-id", call.identity.session_id),
            ("tricorn-roles", ",".join(sorted(call.identity.roles))),
        ]
    if call.causation:
        sent.append(("tricorn-causation", call.causation))
    if call.shadow:
        sent.append(("tricorn-shadow", "1"))
    traceparent = telemetry.traceparent()
    if traceparent:
        sent.append(("traceparent", traceparent))
    return sent
