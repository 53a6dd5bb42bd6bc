"""Refusals on gRPC: a status code, google.rpc.ErrorInfo and google.rpc.BadRequest."""

from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from tricorn import telemetry
from tricorn.contract import PlatformReason, Refusal, Violation, reason_entry

DOMAIN = "tricorn"
DETAILS_KEY = "grpc-status-details-bin"

_log = telemetry.get_logger("tricorn.wire")

_UNTOLD_DETAIL = "the part of the system that answers this could not be reached, or broke off; try again"
_UNTOLD = {
    grpc.StatusCode.INVALID_ARGUMENT: PlatformReason.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED: PlatformReason.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: PlatformReason.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND: PlatformReason.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: PlatformReason.ALREADY_EXISTS,
    grpc.StatusCode.ABORTED: PlatformReason.ABORTED,
    # Whoever called is still here: it was the other side that gave up.
    grpc.StatusCode.CANCELLED: PlatformReason.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED: PlatformReason.UNIMPLEMENTED,
    grpc.StatusCode.UNAVAILABLE: PlatformReason.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: PlatformReason.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: PlatformReason.PAYLOAD_TOO_LARGE,
}


class TransportRefusal(Refusal):
    """Nobody answered in the words of a contract: this is what the transport met."""


def to_status(refusal: Refusal) -> tuple[grpc.StatusCode, bytes]:
    """The code of a refusal and its google.rpc.Status, serialised."""
    code = grpc.StatusCode[reason_entry(refusal.reason).grpc]
    status = status_pb2.Status(code=code.value[0], message=refusal.detail)
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=refusal.metadata)
    status.details.append(_packed(info))
    if refusal.violations:
        broken = error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(
                    field=violation.field, description=violation.message, reason=violation.rule
                )
                for violation in refusal.violations
            ]
        )
        status.details.append(_packed(broken))
    if refusal.retry_after is not None:
        delay = duration_pb2.Duration(nanos=int(refusal.retry_after % 1 * 1e9), seconds=int(refusal.retry_after))
        status.details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return code, status.SerializeToString()


def from_error(error: grpc.aio.AioRpcError) -> Refusal:
    """The refusal that a server sent, or the one that says what the transport met."""
    trailing: Any = error.trailing_metadata()
    packed = next((value for key, value in trailing or () if key == DETAILS_KEY and isinstance(value, bytes)), b"")
    said = error.details() or ""
    # grpc says so when no connection could be made: the call never left this process.
    sent = not (error.code() is grpc.StatusCode.UNAVAILABLE and "failed to connect" in said.lower())
    return refusal_of(error.code(), said, packed, sent=sent)


def refusal_of(code: grpc.StatusCode, said: str, packed: bytes = b"", *, sent: bool = True) -> Refusal:
    """The refusal that stands in a status (a serialised google.rpc.Status), or the one that says what the transport met."""
    refusal = from_status(status_pb2.Status.FromString(packed)) if packed else None
    if refusal is not None:
        return refusal
    reason = _UNTOLD.get(code, PlatformReason.INTERNAL)
    # It may name addresses and paths, which are nobody's business outside.
    _log.warning("a call met the transport", code=code.name, said=said)
    return TransportRefusal(reason, _UNTOLD_DETAIL, sent=sent and reason is not PlatformReason.UNIMPLEMENTED)


def from_status(status: status_pb2.Status) -> Refusal | None:
    """The refusal that a status tells; None for one that is not in the words of a contract."""
    reason = ""
    metadata: dict[str, str] = {}
    violations: list[Violation] = []
    retry_after = None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        broken = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(broken):
            violations = [Violation(each.field, each.reason, each.description) for each in broken.field_violations]
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    if not reason:
        return None
    # What is not implemented was not done.
    sent = reason != PlatformReason.UNIMPLEMENTED
    return Refusal(reason, status.message, metadata=metadata, violations=violations, retry_after=retry_after, sent=sent)


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
