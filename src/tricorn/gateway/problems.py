"""RFC 9457: every failure as ``application/problem+json``. This is the one place where reasons meet HTTP."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor

from tricorn.contract import PlatformReason, Refusal, Violation, reason_entry
from tricorn.gateway.transcode.json_text import Malformed

CONTENT_TYPE = "application/problem+json"
_SEGMENT = re.compile(r"([A-Za-z0-9_]+)((?:\[[^\]]*\])*)")
_RETRY_LATER = {PlatformReason.UNAVAILABLE: 1.0}


@dataclass(slots=True)
class Problem:
    """A failure, ready to be sent."""

    code: str
    status: int
    detail: str
    violations: tuple[Violation, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def document(self, trace_id: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": problem_type(self.code),
            "title": problem_title(self.code),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "traceId": trace_id,
            "violations": [
                {"field": broken.field, "rule": broken.rule, "message": broken.message} for broken in self.violations
            ],
        }
        if self.metadata:
            document["metadata"] = dict(self.metadata)
        return document

    def body(self, trace_id: str) -> bytes:
        return orjson.dumps(self.document(trace_id))


def problem_type(code: str) -> str:
    """Where the reason is explained: ``/problems/out-of-stock``."""
    return f"/problems/{code.lower().replace('_', '-')}"


def problem_title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def problem(reason: str, detail: str, *, headers: list[tuple[bytes, bytes]] | None = None) -> Problem:
    """A failure that the gateway itself finds."""
    entry = reason_entry(reason)
    return Problem(entry.name, entry.http, detail, headers=headers or [])


def from_refusal(refusal: Refusal, request: Descriptor | None = None) -> Problem:
    """What a refusal looks like; the fields of its violations are spelled as in JSON when the request's type is given.

    A reason that nobody declared becomes INTERNAL without its text, and so does INTERNAL itself.
    """
    entry = reason_entry(refusal.reason)
    if entry.name == PlatformReason.INTERNAL:
        return internal()
    violations = tuple(
        Violation(json_path(broken.field, request), broken.rule, broken.message) for broken in refusal.violations
    )
    retry_after = refusal.retry_after if refusal.retry_after is not None else _RETRY_LATER.get(entry.name)  # type: ignore[call-overload]
    headers = [] if retry_after is None else [(b"retry-after", str(max(1, -int(-retry_after // 1))).encode())]
    if entry.http == 401:  # noqa: PLR2004 - RFC 9110 asks for a challenge with every 401
        headers.append((b"www-authenticate", b"Bearer"))
    return Problem(entry.name, entry.http, refusal.detail, violations, refusal.metadata, headers)


def from_malformed(bad: Malformed) -> Problem:
    entry = reason_entry(PlatformReason.MALFORMED_REQUEST)
    name = bad.field()
    detail = f"{name}: {bad.message}" if name else bad.message
    return Problem(entry.name, entry.http, detail, (Violation(name, "json", bad.message),) if name else ())


def internal() -> Problem:
    return problem(
        PlatformReason.INTERNAL, "Something went wrong on our side. The trace id helps us to find out what happened."
    )


def json_path(path: str, descriptor: Descriptor | None) -> str:
    """``order_lines[0].product_id`` as JSON spells it: ``orderLines[0].productId``."""
    if descriptor is None or not path:
        return path
    parts = []
    current: Descriptor | None = descriptor
    for segment in path.split("."):
        found = _SEGMENT.fullmatch(segment)
        known = current.fields_by_name.get(found[1]) if current is not None and found is not None else None
        if known is None or found is None:
            parts.append(segment)
            current = None
            continue
        parts.append(known.json_name + found[2])
        current = known.message_type
        if current is not None and current.GetOptions().map_entry:
            current = current.fields_by_name["value"].message_type
    return ".".join(parts)
