"""What one in-process wire call costs beside a plain call of the same method."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from agora_proto.payments.v1 import payments_pb2 as payments
from agora_proto.payments.v1.payments_tricorn import SigningServiceBase, SigningServiceClient
from tricorn.telemetry import CallStats, continue_trace
from tricorn.wire import Call, Endpoints, Identity, Service, Wire, call_scope

CALLS = 20_000
ROUNDS = 5


def measure() -> dict[str, Any]:
    """Microseconds of each, the best of several rounds, interleaved."""
    return uvloop.run(_measure())


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    return [
        f"An in-process wire call adds {found['added_us']} us to a plain call ({found['wire_us']} instead of {found['plain_us']})."
    ]


async def _measure() -> dict[str, Any]:
    server = Constant()
    service = Service(CallStats())
    service.add(server)
    client = SigningServiceClient(Wire(Endpoints(service)))
    request = payments.SignTransactionRequest(payload=b"x" * 200, previous_hash=bytes(32))
    identity = Identity("66666666-6666-4666-8666-666666666666", "s", frozenset())
    with continue_trace(None), call_scope(identity=identity, timeout=600) as call:
        plain = wired = float("inf")
        for _ in range(ROUNDS):
            plain = min(plain, await _each(lambda: server.sign_transaction(request, call)))
            wired = min(wired, await _each(lambda: client.sign_transaction(request)))
    return {"plain_us": round(plain, 2), "wire_us": round(wired, 2), "added_us": round(wired - plain, 2)}


async def _each(call: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - began) / CALLS * 1e6


class Constant(SigningServiceBase):
    """Answers at once, so that what is measured is the way there and back."""

    async def sign_transaction(
        self,
        request: payments.SignTransactionRequest,
        call: Call,
    ) -> payments.SignTransactionResponse:
        return payments.SignTransactionResponse(hash=bytes(32), signature=bytes(64), key_id="k")

    async def list_signing_keys(
        self,
        request: payments.ListSigningKeysRequest,
        call: Call,
    ) -> payments.ListSigningKeysResponse:
        return payments.ListSigningKeysResponse()
