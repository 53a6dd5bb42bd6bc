"""The vocabulary of refusals, and how each looks on gRPC."""

import grpc
import pytest

from tricorn.contract import PlatformReason, Refusal, Violation, reason_entry, reasons
from tricorn.wire.errors import DETAILS_KEY, from_error, to_status


def test_every_reason_has_a_grpc_code_and_an_http_error() -> None:
    for entry in reasons().values():
        assert entry.grpc in grpc.StatusCode.__members__
        assert 400 <= entry.http < 600


def test_every_platform_reason_is_declared() -> None:
    assert {reason.value for reason in PlatformReason} <= set(reasons())


def test_an_unknown_reason_is_an_internal_one() -> None:
    assert reason_entry("NO_SUCH_REASON").name == PlatformReason.INTERNAL


@pytest.mark.parametrize("reason", sorted(PlatformReason))
def test_a_refusal_survives_the_wire(reason: PlatformReason) -> None:
    refusal = Refusal(
        reason,
        "what was wrong",
        metadata={"left": "3"},
        violations=[Violation("lines[0].quantity", "int32.gte", "must be positive")],
        retry_after=1.5,
    )
    code, details = to_status(refusal)

    back = from_error(
        grpc.aio.AioRpcError(
            code, grpc.aio.Metadata(), grpc.aio.Metadata((DETAILS_KEY, details)), details=refusal.detail
        )
    )

    assert (back.reason, back.detail, back.metadata, back.violations, back.retry_after) == (
        refusal.reason,
        refusal.detail,
        refusal.metadata,
        refusal.violations,
        refusal.retry_after,
    )


def test_a_transport_failure_becomes_a_reason() -> None:
    error = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(),
        details="failed to connect to all addresses",
    )

    refusal = from_error(error)

    assert (refusal.reason, refusal.sent) == (PlatformReason.UNAVAILABLE, False)
    assert "addresses" not in refusal.detail
