"""What an implementation gave for a request, in a form that two of them can be compared in."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from tricorn.contract import MethodPolicy
from tricorn.contract.compare import Difference, differences
from tricorn.wire.errors import DETAILS_KEY

ANSWERED, REFUSED, LATE, UNREAD, GONE = "answered", "refused", "late", "unread", "gone"
"""Kinds of outcomes: an answer; a refusal; none within the time of its method; a request whose bytes are no message; nobody there."""


class Outcome(NamedTuple):
    """``payload`` is the answer, serialised, or the google.rpc.Status of a refusal; ``code`` the gRPC status code's name."""

    kind: str
    code: str = "OK"
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``differences`` is empty for outcomes that are the same. What does not count is noted: a refusal in other words, answers that carry
    fields which the contract does not have.
    """

    differences: tuple[Difference, ...] = ()
    worded_otherwise: bool = False
    unknown_fields: bool = False


_SAME = Comparison()


def outcome_of(error: grpc.aio.AioRpcError) -> Outcome:
    """The outcome of a call that ended with an error."""
    trailing: Any = error.trailing_metadata() or ()
    details = next((value for key, value in trailing if key == DETAILS_KEY and isinstance(value, bytes)), None)
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Outcome(LATE, code.name)
    if details is None and code is grpc.StatusCode.UNAVAILABLE:
        return Outcome(GONE, code.name, (error.details() or "").encode())
    if details is None:
        details = status_pb2.Status(code=code.value[0], message=error.details() or "").SerializeToString()
    return Outcome(REFUSED, code.name, details)


def compare(policy: MethodPolicy, expected: Outcome, actual: Outcome) -> Comparison:
    """How ``actual`` differs from ``expected`` by the field policies of the method's answer.

    NaNs are equal and so are zeros of either sign, maps have no order, fields that the contract does not know do not count. Refusals are
    compared by code, reason, metadata, broken rules and time to wait, not by their text, which is for people.
    """
    if expected == actual:
        return _SAME
    if expected.kind != actual.kind:
        return Comparison((Difference("outcome", shown(policy, expected), shown(policy, actual)),))
    if expected.kind == REFUSED:
        return _compare_refusals(expected, actual)
    if expected.kind != ANSWERED:
        return _SAME
    return _compare_answers(policy, expected, actual)


def _compare_answers(policy: MethodPolicy, expected: Outcome, actual: Outcome) -> Comparison:
    try:
        answer = policy.output.FromString(actual.payload)
    except DecodeError as error:
        return Comparison(
            (Difference("outcome", "an answer", f"bytes that are no {policy.output.DESCRIPTOR.name}: {error}"),)
        )
    before = answer.ByteSize()
    answer.DiscardUnknownFields()
    found = differences(policy.output.FromString(expected.payload), answer)
    return Comparison(tuple(found), unknown_fields=answer.ByteSize() != before)


def _compare_refusals(expected: Outcome, actual: Outcome) -> Comparison:
    one, other = _said(expected), _said(actual)
    found = [
        Difference(f"error.{name}", str(one[name]), str(other[name]))
        for name in ("code", "reason", "domain", "metadata", "violations", "retry_after", "more")
        if one[name] != other[name]
    ]
    return Comparison(tuple(found), worded_otherwise=not found and one["text"] != other["text"])


def _said(outcome: Outcome) -> dict[str, object]:
    """What a refusal says; the order of violations does not count."""
    status = status_pb2.Status.FromString(outcome.payload)
    said: dict[str, object] = {
        "code": outcome.code,
        "reason": "",
        "domain": "",
        "metadata": {},
        "violations": [],
        "retry_after": None,
        "text": status.message,
    }
    more = []
    for detail in status.details:
        info, broken, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.BadRequest(),
            error_details_pb2.RetryInfo(),
        )
        if detail.Unpack(info):
            said.update(reason=info.reason, domain=info.domain, metadata=dict(sorted(info.metadata.items())))
        elif detail.Unpack(broken):
            said["violations"] = sorted((each.field, each.reason, each.description) for each in broken.field_violations)
        elif detail.Unpack(retry):
            said["retry_after"] = retry.retry_delay.ToNanoseconds()
        else:
            more.append((detail.type_url, detail.value))
    said["more"] = sorted(more)
    return said


def reason_of(outcome: Outcome) -> str:
    """The reason of a refusal; the code's name where it gives none."""
    return str(_said(outcome)["reason"]) or outcome.code


def details_of(outcome: Outcome) -> dict[str, str]:
    """The metadata of a refusal."""
    return dict(_said(outcome)["metadata"])  # type: ignore[call-overload, no-any-return]


def has_violations(outcome: Outcome) -> bool:
    """Whether a refusal names rules that were broken."""
    return bool(_said(outcome)["violations"])


def shown(policy: MethodPolicy, outcome: Outcome, *, whole: bool = False) -> str:
    """An outcome in a few words; ``whole`` shows all of a long answer."""
    if outcome.kind == REFUSED:
        said = _said(outcome)
        return f"{said['reason'] or outcome.code} ({said['text']})"
    if outcome.kind == ANSWERED:
        return _short(policy.output, outcome.payload, None if whole else _LONGEST)
    return {
        LATE: f"no answer within {policy.deadline:g} s",
        UNREAD: "bytes that are no request",
        GONE: f"nobody there ({outcome.payload.decode(errors='replace')})",
    }[outcome.kind]


_LONGEST = 200


def _short(kind: type[Message], payload: bytes, most: int | None) -> str:
    try:
        text = " ".join(str(kind.FromString(payload)).split())
    except DecodeError:
        return f"{len(payload)} bytes"
    return f"the answer {{{text if most is None or len(text) <= most else text[:most] + ' ...'}}}"
