"""The way to an implementation in another process: gRPC over a unix socket or TCP."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy
from tricorn.wire.call import Call
from tricorn.wire.errors import from_error

MAX_MESSAGE_BYTES = 8 * 1024 * 1024

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
        self._channel = grpc.aio.insecure_channel(address, options=_OPTIONS)
        self._calls: dict[str, Any] = {}

    async def close(self) -> None:
        await self._channel.close(None)

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message:
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
