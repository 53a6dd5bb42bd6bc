"""Whether a process answers `grpc.health.v1`: asked by the supervisor while it runs, and by `status`."""

from __future__ import annotations

from typing import Any


class Pulse:
    """Asks one address again and again. gRPC is loaded by the first question: whoever asks none pays nothing."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel: Any = None
        self._check: Any = None

    def serving(self, seconds: float) -> bool | None:
        """Whether it says that it serves; None when it gives no answer within `seconds`. Blocks."""
        import grpc  # noqa: PLC0415
        from grpc_health.v1 import health_pb2  # noqa: PLC0415

        if self._channel is None:
            self._channel = grpc.insecure_channel(
                self._address,
                # Servers other than grpcio refuse the escaped socket path that grpcio would send as authority.
                options=[
                    ("grpc.default_authority", "localhost"),
                    ("grpc.initial_reconnect_backoff_ms", 100),
                    ("grpc.max_reconnect_backoff_ms", 500),
                ],
            )
            self._check = self._channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
        try:
            answer = self._check(health_pb2.HealthCheckRequest(), timeout=seconds)
        except grpc.RpcError as error:
            # Whoever refuses is alive: it is answering, if not this question.
            silent = error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
            return None if silent else False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = self._check = None
