"""Spans that were kept in a home: read, put together to traces, and as the lines of a tree."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_LENGTH_BYTES = 4
_FAILED = 2
_KINDS = ("", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True, slots=True)
class Seen:
    """A span: ids in hexadecimal digits (``parent`` is empty for the first of a trace), Unix times in nanoseconds.

    ``links`` are (trace, span) of those that led to it in other traces.
    """

    trace: str
    span: str
    parent: str
    name: str
    kind: str
    process: str
    start: int
    end: int
    failed: bool
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A span in a tree, ``depth`` levels below a root; ``linked``: it is of another trace, which this one led to."""

    span: Seen
    depth: int
    linked: bool


def read_spans(files: Sequence[Path]) -> list[Seen]:
    """All spans in some files, in the order of their start; a message that is not whole yet is left out."""
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - processes that keep nothing do not pay for it
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    found: dict[tuple[str, str], Seen] = {}
    for path in files:
        for message in _messages(path):
            try:
                request = ExportTraceServiceRequest.FromString(message)
            except DecodeError:
                continue
            for resource in request.resource_spans:
                about = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        seen = _seen(about.get("service.name", ""), span)
                        found[seen.trace, seen.span] = seen
    return sorted(found.values(), key=lambda seen: (seen.start, -seen.end))


def tree(spans: Sequence[Seen], trace: str) -> list[Line]:
    """The spans of a trace, each after its parent, and those of other traces that it led to after what they link to."""
    below: Mapping[str, list[Seen]] = defaultdict(list)
    linked: Mapping[str, list[Seen]] = defaultdict(list)
    own = {seen.span for seen in spans if seen.trace == trace}
    ids = {(seen.trace, seen.span) for seen in spans}
    for seen in spans:
        if (seen.trace, seen.parent) in ids:
            below[seen.parent].append(seen)
        for other, cause in seen.links:
            if other == trace and cause in own and seen.trace != trace:
                linked[cause].append(seen)

    def lines(seen: Seen, depth: int, from_elsewhere: bool) -> Iterator[Line]:
        yield Line(seen, depth, from_elsewhere)
        for child in below[seen.span]:
            if child.trace == seen.trace:
                yield from lines(child, depth + 1, from_elsewhere)
        if not from_elsewhere:
            for other in linked[seen.span]:
                yield from lines(other, depth + 1, True)

    roots = [seen for seen in spans if seen.trace == trace and (seen.trace, seen.parent) not in ids]
    return [line for root in roots for line in lines(root, 0, False)]


def _messages(path: Path) -> Iterator[bytes]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    at = 0
    while at + _LENGTH_BYTES <= len(content):
        end = at + _LENGTH_BYTES + int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
        if end > len(content):
            return
        yield content[at + _LENGTH_BYTES : end]
        at = end


def _seen(process: str, span: object) -> Seen:
    return Seen(
        span.trace_id.hex(),  # type: ignore[attr-defined]
        span.span_id.hex(),  # type: ignore[attr-defined]
        span.parent_span_id.hex(),  # type: ignore[attr-defined]
        span.name,  # type: ignore[attr-defined]
        _KINDS[span.kind] if span.kind < len(_KINDS) else "",  # type: ignore[attr-defined]
        process,
        span.start_time_unix_nano,  # type: ignore[attr-defined]
        span.end_time_unix_nano,  # type: ignore[attr-defined]
        span.status.code == _FAILED,  # type: ignore[attr-defined]
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),  # type: ignore[attr-defined]
    )
