"""Where two answers to one request differ, in what a client may rely on."""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tricorn.conformance.parity.exchange import Answer

UNSAID = frozenset({"date", "server", "content-length", "transfer-encoding", "age", "keep-alive"})
"""Headers that may differ and be absent: how an answer is sent, when, and for how long it lay in a gateway's own cache."""

THERE = frozenset({
    "x-trace-id",
    "server-timing",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "set-cookie",
    "last-modified",
})  # fmt: skip
"""Headers that both have or neither, with values of their own."""

_SETS = frozenset({"vary", "allow", "connection", "access-control-allow-methods", "access-control-allow-headers"})
_EVENTS = "text/event-stream"
_GZIP_WINDOW = 31
_LONGEST_SHOWN = 160
_WORDS = re.compile(r"\s*,\s*")


@dataclass(frozen=True, slots=True)
class Leniency:
    """What a request's answers may differ in: JSON members of these names (or at these paths), these headers, or the whole body."""

    members: frozenset[str] = frozenset()
    headers: frozenset[str] = frozenset()
    body: bool = False


_STRICT = Leniency()


def differences(reference: Sequence[Answer], candidate: Sequence[Answer], lenient: Leniency = _STRICT) -> list[str]:
    """What is different, a sentence each; empty when the answers are the same."""
    if len(reference) != len(candidate):
        return [f"{_count(reference)}, the candidate {_count(candidate)}"]
    return [
        found
        for left, right in zip(reference, candidate, strict=True)
        for found in (*_heads(left, right, lenient), *(() if lenient.body else _bodies(left, right, lenient)))
    ]


def _count(answers: Sequence[Answer]) -> str:
    said = ", ".join(str(answer.status) for answer in answers)
    return f"gave {len(answers)} answers ({said})" if answers else "gave no answer"


def _heads(left: Answer, right: Answer, lenient: Leniency) -> Iterator[str]:
    if left.status != right.status:
        yield f"status: {left.status} is {right.status}"
    if left.cut != right.cut:
        yield f"cut off: {left.cut} is {right.cut}"
    for name in sorted(left.headers.keys() | right.headers.keys()):
        if name in UNSAID or name in lenient.headers:
            continue
        one, other = _value(left, name), _value(right, name)
        if name in THERE or (name == "x-request-id" and _is_its_own(left) and _is_its_own(right)):
            one, other = (None if each is None else "there" for each in (one, other))
        if one != other:
            yield f"header {name}: {_short(one)} is {_short(other)}"


def _is_its_own(answer: Answer) -> bool:
    """Whether the request's id was not the client's, but made from the trace's."""
    return answer.header("x-request-id") == answer.header("x-trace-id")


def _value(answer: Answer, name: str) -> Any:
    said = answer.header(name)
    if said is None:
        return None
    if name in _SETS:
        return sorted(_WORDS.split(said.lower()))
    return re.sub(r"\s*;\s*", "; ", said).lower() if name == "content-type" else said


def _bodies(left: Answer, right: Answer, lenient: Leniency) -> Iterator[str]:
    one, other = _read(left), _read(right)
    if isinstance(one, bytes) or isinstance(other, bytes):
        if one != other:
            yield f"body: {_short(one)} is {_short(other)}"
        return
    for answer, document in ((left, one), (right, other)):
        # A refusal names its trace where the head does; which one it is, is each gateway's own affair.
        if isinstance(document, dict) and "traceId" in document and _kind(answer) == "application/problem+json":
            named = document.pop("traceId")
            if named != answer.header("x-trace-id"):
                yield f"traceId: {named} is not the header's {answer.header('x-trace-id')}"
    yield from _values("", one, other, lenient)


def _kind(answer: Answer) -> str:
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def _read(answer: Answer) -> Any:
    """The JSON value of a body, the list of its events, or its bytes."""
    body = answer.body
    try:
        if (answer.header("content-encoding") or "").lower() == "gzip" and body:
            body = zlib.decompress(body, _GZIP_WINDOW)
        kind = _kind(answer)
        if body and (kind == "application/json" or kind.endswith("+json")):
            return json.loads(body)
        if kind == _EVENTS:
            return [_event(block) for block in body.decode().split("\n\n") if block and not block.startswith(":")]
    except (ValueError, zlib.error):
        return body
    return body


def _event(block: str) -> dict[str, Any]:
    fields = {name: value for name, _, value in (line.partition(": ") for line in block.split("\n"))}
    data = fields.get("data", "")
    if data:
        parsed = json.loads(data)
        if isinstance(parsed, dict):
            parsed.pop("traceId", None)
        return {**fields, "data": parsed}
    return dict(fields)


def _values(path: str, left: Any, right: Any, lenient: Leniency) -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in [*left, *(name for name in right if name not in left)]:
            at = f"{path}.{name}" if path else name
            if name not in left or name not in right:
                yield f"{at}: {'is only the candidate’s' if name in right else 'is missing'}"
            elif not lenient.members & {name, at}:
                yield from _values(at, left[name], right[name], lenient)
    elif isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            yield f"{path or 'list'}: {len(left)} entries are {len(right)}"
        for index, (one, other) in enumerate(zip(left, right, strict=False)):
            yield from _values(f"{path}[{index}]", one, other, lenient)
    elif left != right or isinstance(left, bool) != isinstance(right, bool):
        yield f"{path or 'body'}: {_short(left)} is {_short(right)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
