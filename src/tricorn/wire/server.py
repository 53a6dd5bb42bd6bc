"""Hosts the implementations of a process behind grpc.aio, with health and reflection."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, service_policies
from tricorn.wire.call import NO_METADATA, Call, Identity
from tricorn.wire.errors import DETAILS_KEY, to_status
from tricorn.wire.remote import MAX_MESSAGE_BYTES
from tricorn.wire.service import Service

_META = "tricorn-meta-"


class GrpcServer:
    """Serves a `Service` on ``unix:PATH`` (mode 0600) or ``HOST:PORT``.

    The caller's identity is taken from metadata: whoever can reach the socket is believed, so it is never a public one.
    """

    def __init__(self, service: Service, address: str) -> None:
        self._service = service
        self._requested = address
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ]
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        self._lock: int | None = None
        self.address = address

    async def start(self) -> None:
        """Listens, then reports every hosted contract as serving.

        Raises:
            OSError: The address is taken; another server is alive behind it.
        """
        for name in self._service.services:
            self._server.add_generic_rpc_handlers((self._handlers(name),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [*self._service.services, health.SERVICE_NAME, reflection.SERVICE_NAME]
        reflection.enable_server_reflection(names, self._server)
        if self._requested.startswith("unix:"):
            self._take_path(Path(self._requested.removeprefix("unix:")))
        old_mask = os.umask(0o177)
        try:
            port = self._server.add_insecure_port(self._requested)
        except RuntimeError as error:
            message = f"cannot listen on {self._requested}: {error}"
            raise OSError(message) from error
        finally:
            os.umask(old_mask)
        if not self._requested.startswith("unix:"):
            self.address = f"{self._requested.rpartition(':')[0]}:{port}"
        await self._server.start()
        for name in ["", *self._service.services]:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Refuses new calls and gives those in flight ``grace`` seconds to end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_path(self, path: Path) -> None:
        # A second grpcio server would silently take a live socket over: a lock beside it says who owns the path.
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

    def _handlers(self, name: str) -> Any:
        return grpc.method_handlers_generic_handler(
            name, {policy.name: self._handler(policy) for policy in service_policies(name)}
        )

    def _handler(self, policy: MethodPolicy) -> Any:
        kind: Callable[..., Any] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[policy.client_streaming, policy.server_streaming]
        behaviour = self._stream(policy) if policy.server_streaming else self._unary(policy)
        return kind(behaviour, partial(_parsed, policy), policy.output.SerializeToString)

    def _unary(self, policy: MethodPolicy) -> Callable[..., Any]:
        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            call, traceparent = _incoming(policy, context)
            try:
                with telemetry.continue_trace(traceparent), telemetry.span(policy.full_name, kind="server"):
                    return await self._service.serve(policy.full_name, _readable(request), call)
            except Refusal as refusal:
                await _abort(context, refusal)
            raise AssertionError  # abort always raises

        return serve

    def _stream(self, policy: MethodPolicy) -> Callable[..., Any]:
        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
            call, traceparent = _incoming(policy, context)
            try:
                with telemetry.continue_trace(traceparent):
                    async for answer in self._service.serve_stream(policy.full_name, _readable(request), call):
                        yield answer
            except Refusal as refusal:
                await _abort(context, refusal)

        return serve


def _parsed(policy: MethodPolicy, data: bytes) -> Message | Refusal:
    # gRPC would answer UNKNOWN, and log a defect of ours.
    try:
        return policy.input.FromString(data)
    except DecodeError:
        return Refusal(
            PlatformReason.INVALID_ARGUMENT, f"the request of {policy.name} is no {policy.input.DESCRIPTOR.full_name}"
        )


def _readable(request: Any) -> Any:
    if isinstance(request, Refusal):
        raise request
    return request if isinstance(request, Message) else _each_readable(request)


async def _each_readable(requests: AsyncIterator[Any]) -> AsyncIterator[Message]:
    async for request in requests:
        yield _readable(request)


def _incoming(policy: MethodPolicy, context: grpc.aio.ServicerContext[Any, Any]) -> tuple[Call, str]:
    sent: dict[str, str] = {str(key): value for key, value in _pairs(context) if isinstance(value, str)}
    own_limit = policy.stream_total if policy.server_streaming else policy.deadline
    left = context.time_remaining()
    seconds = own_limit if left is None else min(left, own_limit)
    user_id = sent.get("tricorn-user-id")
    roles = frozenset(filter(None, sent.get("tricorn-roles", "").split(",")))
    identity = Identity(user_id, sent.get("tricorn-session-id", ""), roles) if user_id else None
    metadata = {key.removeprefix(_META): value for key, value in sent.items() if key.startswith(_META)}
    call = Call(
        policy.full_name,
        identity,
        time.monotonic() + seconds,
        sent.get("tricorn-causation", ""),
        metadata or NO_METADATA,
        "tricorn-shadow" in sent,
    )
    return call, sent.get("traceparent", "")


def _pairs(context: grpc.aio.ServicerContext[Any, Any]) -> Iterable[tuple[str, str | bytes]]:
    return context.invocation_metadata() or ()


async def _abort(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> None:
    code, details = to_status(refusal)
    await context.abort(code, refusal.detail, ((DETAILS_KEY, details),))


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
