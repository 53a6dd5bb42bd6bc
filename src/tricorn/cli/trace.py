"""`tricorn trace`."""

from __future__ import annotations

import json as json_module
import os
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tricorn.supervise.home import Home
    from tricorn.telemetry.collected import Line, Seen

app = typer.Typer()

_REFERENCE = "python"
_ID_DIGITS = 32
_SHORTEST = 4
_LATEST = 10
_WAIT_SECONDS = 2.0
"""Processes send what they have twice a second: who asks right after a request need not ask again."""


@app.command()
def trace(
    id: Annotated[  # noqa: A002 - the argument's name in the help
        str | None,
        typer.Argument(
            metavar="[ID]", help="Of a trace, as answers and logs name it, or how it begins. [default: the latest ones]"
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The spans as JSON.")] = False,
    home: HomeOption = None,
) -> None:
    """Show where the time of one request went, through all processes; it does not matter whether they still run.

    Ten traces a second are kept (TRICORN_TRACE_RATE), under the id that a `traceparent` says; the oldest go when there are more than about
    16 MB of them. Where OTEL_EXPORTER_OTLP_ENDPOINT is set, spans go there instead.
    """
    there = home_of(home)
    if id is None:
        _print_latest(_spans(there), as_json=json)
        return
    spans, found = _found(there, id)
    from tricorn.telemetry.collected import tree

    lines = tree(spans, found)
    if json:
        sys.stdout.write(json_module.dumps([_document(line) for line in lines], indent=1) + "\n")
        return
    _print(found, lines)


def _found(home: Home, word: str) -> tuple[list[Seen], str]:
    """The spans, and the trace that a word names.

    Raises:
        SuperviseError: it names none, or several.
    """
    wanted = word.strip().lower()
    if len(wanted) < _SHORTEST or len(wanted) > _ID_DIGITS or set(wanted) - set("0123456789abcdef"):
        raise SuperviseError(
            f"{word!r} is no trace's id",
            remedy=f"write {_SHORTEST} to {_ID_DIGITS} of its hexadecimal digits: x-trace-id of an answer",
        )
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        spans = _spans(home)
        traces = sorted({seen.trace for seen in spans if seen.trace.startswith(wanted)})
        if traces or time.monotonic() > until:
            break
        time.sleep(0.1)
    if not traces:
        raise SuperviseError(
            f"no trace begins with {word!r}" if spans else f"no traces are kept in {home.path} yet",
            remedy="`tricorn trace` lists the latest; of many at once only some are kept: set TRICORN_TRACE_RATE for more"
            if spans
            else _nothing(),
        )
    if len(traces) > 1:
        shown = ", ".join(traces[:5])
        raise SuperviseError(f"{len(traces)} traces begin with {word!r}: {shown}", remedy="write more of its digits")
    return spans, traces[0]


def _nothing() -> str:
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        return "spans are sent to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names: ask there"
    return "start the application with `tricorn up`, and send it a request"


def _spans(home: Home) -> list[Seen]:
    from tricorn.supervise.tracing import CURRENT, FOLDER, OLDER
    from tricorn.telemetry.collected import read_spans

    folder = home.path / FOLDER
    return read_spans([folder / OLDER, folder / CURRENT])


def _print_latest(spans: Sequence[Seen], *, as_json: bool) -> None:
    roots: dict[str, Seen] = {}
    counts: dict[str, int] = {}
    for seen in spans:
        roots.setdefault(seen.trace, seen)
        counts[seen.trace] = counts.get(seen.trace, 0) + 1
    latest = sorted(roots.values(), key=lambda seen: seen.start)[-_LATEST:]
    if as_json:
        sys.stdout.write(json_module.dumps([asdict(seen) for seen in latest], indent=1) + "\n")
        return
    if not latest:
        raise SuperviseError("no traces are kept yet", remedy=_nothing())
    for seen in latest:
        took = (seen.end - seen.start) / 1e6
        sys.stdout.write(f"{seen.trace}  {_moment(seen)}  {took:9.1f} ms  {counts[seen.trace]:4} spans  {seen.name}\n")


def _print(trace_id: str, lines: Sequence[Line]) -> None:
    languages = _languages()
    first = min(line.span.start for line in lines)
    last = max(line.span.end for line in lines if not line.linked)
    processes = dict.fromkeys(line.span.process for line in lines)
    said = ", ".join(f"{name} ({languages.get(name, _REFERENCE)})" for name in processes)
    sys.stdout.write(f"trace {trace_id}: {_moment(lines[0].span)}, {(last - first) / 1e6:.1f} ms, {said}\n\n")
    widths = max(2 * line.depth + len(_title(line)) for line in lines), max(map(len, processes))
    for line in lines:
        seen = line.span
        name = "  " * line.depth + _title(line)
        language = languages.get(seen.process, _REFERENCE)
        sys.stdout.write(
            f"{(seen.start - first) / 1e6:9.1f} ms {(seen.end - seen.start) / 1e6:9.1f} ms  "
            f"{name:{widths[0]}}  {seen.process:{widths[1]}}  {language:6}  {seen.kind}\n"
        )


def _title(line: Line) -> str:
    return f"{line.span.name}{' (linked)' if line.linked else ''}{' FAILED' if line.span.failed else ''}"


def _moment(seen: Seen) -> str:
    return (
        datetime.fromtimestamp(seen.start / 1e9, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    )


def _document(line: Line) -> dict[str, object]:
    language = _languages().get(line.span.process, _REFERENCE)
    return {**asdict(line.span), "depth": line.depth, "linked": line.linked, "language": language}


def _languages() -> dict[str, str]:
    """The language of each process that is a native part."""
    application = manifest()
    return {
        name: application.natives[part.native].language for name, part in application.processes.items() if part.native
    }
