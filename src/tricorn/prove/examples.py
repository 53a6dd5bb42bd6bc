"""Differences that are kept to be looked at: without secrets, and none longer than a line or two."""

import re
from collections.abc import Sequence

from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status

from tricorn.contract import MethodPolicy
from tricorn.contract.compare import Difference
from tricorn.prove.outcome import ANSWERED, REFUSED, Outcome, compare
from tricorn.prove.redaction import redact, redact_status
from tricorn.telemetry.logs import REDACTED

_SUBSCRIPT = re.compile(r"\[[^\]]*\]")
_LONGEST_VALUE = 200


def field_of(difference: Difference) -> str:
    """The field, whatever the entry: ``lines[3].price`` is ``lines[].price``."""
    return _SUBSCRIPT.sub("[]", difference.path)


def shown_differences(
    policy: MethodPolicy, found: Sequence[Difference], reference: Outcome, candidate: Outcome
) -> list[Difference]:
    """What `compare` found of two outcomes, as it may be kept."""
    open_ = {
        each.path: each
        for each in compare(policy, _redacted(policy, reference), _redacted(policy, candidate)).differences
    }
    kept = (open_.get(each.path, Difference(each.path, REDACTED, REDACTED)) for each in found)
    return [Difference(each.path, _short(each.expected), _short(each.actual)) for each in kept]


def as_json(message: Message) -> str:
    """One line that a reader, and `json_format.Parse`, understands."""
    return json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True, ensure_ascii=False)


def _redacted(policy: MethodPolicy, outcome: Outcome) -> Outcome:
    if outcome.kind == ANSWERED:
        answer = policy.output.FromString(outcome.payload)
        redact(answer)
        return outcome._replace(payload=answer.SerializeToString(deterministic=True))
    if outcome.kind == REFUSED:
        status = Status.FromString(outcome.payload)
        redact_status(status)
        return outcome._replace(payload=status.SerializeToString(deterministic=True))
    return outcome


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}... ({len(value)} characters)"
