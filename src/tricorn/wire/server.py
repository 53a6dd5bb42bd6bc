"""Hosts the implementations of a process behind gRPC, with health and reflection."""

import asyncio
import contextlib
import fcntl
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, service_policies
from tricorn.wire.call import NO_METADATA, Call, Identity
from tricorn.wire.http2.hpack import Headers
from tricorn.wire.http2.serving import Method, ServedConnection, Serving, seconds_given
from tricorn.wire.remote import MAX_MESSAGE_BYTES
from tricorn.wire.service import Service

_M = TypeVar("_M", bound=Message)

_UNIX = "unix:"
_META = b"tricorn-meta-"
_BACKLOG = 1024


class GrpcServer:
    """Serves a `Service` on ``unix:PATH`` (mode 0600) or ``HOST:PORT``, with health and reflection.

    The caller's identity is taken from metadata: whoever can reach the socket is believed, so it is never a public one.
    """

    def __init__(self, service: Service, address: str) -> None:
        self._service = service
        self._requested = address
        self._health = _Health()
        self._serving = Serving({}, MAX_MESSAGE_BYTES)
        self._server: asyncio.Server | None = None
        self._lock: int | None = None
        self.address = address

    async def start(self) -> None:
        """Listens, and reports every hosted contract as serving.

        Raises:
            OSError: The address is taken; another server is alive behind it.
        """
        self._serving.methods = self._methods()
        self._health.set({"": True} | dict.fromkeys(self._service.services, True))
        loop = asyncio.get_running_loop()

        def connection() -> ServedConnection:
            return ServedConnection(self._serving)

        if self._requested.startswith(_UNIX):
            path = Path(self._requested.removeprefix(_UNIX))
            self._take_path(path)
            self._server = await loop.create_unix_server(connection, sock=_bound(path), backlog=_BACKLOG)
            return
        host, _, port = self._requested.rpartition(":")
        try:
            self._server = await loop.create_server(connection, host.strip("[]"), int(port), backlog=_BACKLOG)
        except (OSError, ValueError, OverflowError) as error:
            message = f"cannot listen on {self._requested}: {error}"
            raise OSError(message) from error
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self, grace: float) -> None:
        """Refuses new calls and gives those in flight ``grace`` seconds to end."""
        self._health.leave()
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._serving.stop(grace)
        if self._lock is not None:
            self._give_path_up(self._lock)
            self._lock = None

    def _take_path(self, path: Path) -> None:
        # Whoever binds a path takes it from a live server: a lock beside it says who owns it.
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            self._lock = None
            message = f"{path} is served by another process"
            raise OSError(message) from error
        path.unlink(missing_ok=True)

    def _give_path_up(self, lock: int) -> None:
        Path(self._requested.removeprefix(_UNIX)).unlink(missing_ok=True)
        os.close(lock)

    def _methods(self) -> dict[bytes, Method]:
        names = [*self._service.services, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflecting = reflection.aio.ReflectionServicer(names)  # type: ignore[attr-defined]

        async def reflect(requests: AsyncIterator[bytes], _: Headers) -> AsyncIterator[bytes]:
            kind = reflection_pb2.ServerReflectionRequest
            asked = (_parsed(kind, each, "ServerReflectionInfo") async for each in requests)
            async for answer in reflecting.ServerReflectionInfo(asked, None):
                yield answer.SerializeToString()

        methods = {
            f"/{policy.full_name}".encode(): self._method(policy)
            for name in self._service.services
            for policy in service_policies(name)
        }
        return methods | {
            f"/{health.SERVICE_NAME}/Check".encode(): Method(self._health.check),
            f"/{health.SERVICE_NAME}/Watch".encode(): Method(self._health.watch, server_streaming=True),
            f"/{reflection.SERVICE_NAME}/ServerReflectionInfo".encode(): Method(
                reflect, client_streaming=True, server_streaming=True
            ),
        }

    def _method(self, policy: MethodPolicy) -> Method:
        serve = self._stream(policy) if policy.server_streaming else self._unary(policy)
        return Method(serve, policy.client_streaming, policy.server_streaming, _limit(policy))

    def _unary(self, policy: MethodPolicy) -> Callable[..., Any]:
        async def serve(request: Any, headers: Headers) -> bytes:
            call, traceparent = _incoming(policy, headers)
            with telemetry.continue_trace(traceparent), telemetry.span(policy.full_name, kind="server"):
                answer = await self._service.serve(policy.full_name, _readable(policy, request), call)
            return answer.SerializeToString()

        return serve

    def _stream(self, policy: MethodPolicy) -> Callable[..., Any]:
        async def serve(request: Any, headers: Headers) -> AsyncIterator[bytes]:
            call, traceparent = _incoming(policy, headers)
            with telemetry.continue_trace(traceparent):
                answers = self._service.serve_stream(policy.full_name, _readable(policy, request), call)
                async with contextlib.aclosing(answers):
                    async for answer in answers:
                        yield answer.SerializeToString()

        return serve


class _Health:
    """Says which contracts are served, as grpc.health.v1 has it."""

    def __init__(self) -> None:
        self.said: Mapping[str, bool] = {}
        self._leaving = asyncio.Event()

    def set(self, said: Mapping[str, bool]) -> None:
        self.said = said

    def leave(self) -> None:
        """Nothing is served any more: who watches is told so, and let go."""
        self.said = dict.fromkeys(self.said, False)
        self._leaving.set()

    async def check(self, request: bytes, _: Headers) -> bytes:
        name = _parsed(health_pb2.HealthCheckRequest, request, "Check").service
        if name not in self.said:
            raise Refusal(PlatformReason.NOT_FOUND, f"{name} is not served here")
        return self._status(name)

    async def watch(self, request: bytes, _: Headers) -> AsyncIterator[bytes]:
        name = _parsed(health_pb2.HealthCheckRequest, request, "Watch").service
        yield self._status(name)
        await self._leaving.wait()
        yield self._status(name)

    def _status(self, name: str) -> bytes:
        kinds = health_pb2.HealthCheckResponse
        known = kinds.SERVING if self.said.get(name) else kinds.NOT_SERVING
        status: bytes = kinds(status=known if name in self.said else kinds.SERVICE_UNKNOWN).SerializeToString()
        return status


def _bound(path: Path) -> socket.socket:
    """A socket at a path that only this user can open."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        message = f"cannot listen on {path}: {error}"
        raise OSError(message) from error
    finally:
        os.umask(old_mask)
    listening.setblocking(False)
    return listening


def _parsed(kind: type[_M], data: bytes, method: str) -> _M:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise Refusal(
            PlatformReason.INVALID_ARGUMENT, f"the request of {method} is no {kind.DESCRIPTOR.full_name}"
        ) from None


def _readable(policy: MethodPolicy, request: Any) -> Any:
    if policy.client_streaming:
        return _each_readable(policy, request)
    return _parsed(policy.input, request, policy.name)


async def _each_readable(policy: MethodPolicy, requests: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for request in requests:
        yield _parsed(policy.input, request, policy.name)


def _incoming(policy: MethodPolicy, headers: Headers) -> tuple[Call, str]:
    seconds = min(seconds_given(headers), _limit(policy))
    user_id = _text(headers, b"tricorn-user-id")
    roles = frozenset(filter(None, _text(headers, b"tricorn-roles").split(",")))
    identity = Identity(user_id, _text(headers, b"tricorn-session-id"), roles) if user_id else None
    metadata = {name.removeprefix(_META).decode(): _text(headers, name) for name in headers if name.startswith(_META)}
    call = Call(
        policy.full_name,
        identity,
        time.monotonic() + seconds,
        _text(headers, b"tricorn-causation"),
        metadata or NO_METADATA,
        b"tricorn-shadow" in headers,
    )
    return call, _text(headers, b"traceparent")


def _limit(policy: MethodPolicy) -> float:
    return policy.stream_total if policy.server_streaming else policy.deadline


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("ascii", "replace")


async def wait_until_serving(address: str, seconds: float) -> None:
    """Waits until a server answers its health check.

    Raises:
        Refusal: UNAVAILABLE, when it does not within ``seconds``.
    """
    async with grpc.aio.insecure_channel(address, options=[("grpc.default_authority", "localhost")]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1, wait_for_ready=True)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.02)
                continue
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
    raise Refusal(PlatformReason.UNAVAILABLE, f"nothing serves at {address}")
