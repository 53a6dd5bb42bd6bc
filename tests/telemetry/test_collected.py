"""Kept spans as a tree."""

from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tricorn.telemetry.collected import read_spans, tree
from tricorn.telemetry.traces import Rate

TRACE, OTHER = bytes(15) + b"\1", bytes(15) + b"\2"


def span_id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def span(
    number: int, parent: int = 0, *, trace: bytes = TRACE, start: int = 0, links: list[Span.Link] | None = None
) -> Span:
    return Span(
        trace_id=trace,
        span_id=span_id(number),
        parent_span_id=span_id(parent) if parent else b"",
        name=f"span {number}",
        kind=Span.SPAN_KIND_SERVER,
        start_time_unix_nano=start or number,
        end_time_unix_nano=100,
        links=links or [],
        status=Status(code=Status.STATUS_CODE_ERROR if number == 3 else Status.STATUS_CODE_UNSET),
    )


def message(process: str, *spans: Span) -> bytes:
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=process))])
    said = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=list(spans))])]
    ).SerializeToString()
    return len(said).to_bytes(4, "big") + said


def kept(folder: Path, *messages: bytes) -> list[Path]:
    path = folder / "spans.otlp"
    path.write_bytes(b"".join(messages))
    return [folder / "not there", path]


def test_spans_of_several_processes_stand_below_their_parents_in_the_order_of_their_start(tmp_path: Path) -> None:
    files = kept(tmp_path, message("engine", span(4, 2)), message("shop", span(3, 1), span(1), span(2, 1)))

    lines = tree(read_spans(files), TRACE.hex())

    assert [(line.span.name, line.depth, line.span.process) for line in lines] == [
        ("span 1", 0, "shop"),
        ("span 2", 1, "shop"),
        ("span 4", 2, "engine"),
        ("span 3", 1, "shop"),
    ]
    assert [line.span.failed for line in lines] == [False, False, False, True]


def test_a_span_whose_parent_is_a_callers_own_is_a_root(tmp_path: Path) -> None:
    lines = tree(read_spans(kept(tmp_path, message("shop", span(2, 77), span(3, 2)))), TRACE.hex())

    assert [(line.span.name, line.depth) for line in lines] == [("span 2", 0), ("span 3", 1)]


def test_work_of_another_trace_stands_below_what_it_links_to(tmp_path: Path) -> None:
    link = Span.Link(trace_id=TRACE, span_id=span_id(2))
    files = kept(
        tmp_path, message("shop", span(1), span(2, 1), span(7, trace=OTHER, links=[link]), span(8, 7, trace=OTHER))
    )

    lines = tree(read_spans(files), TRACE.hex())

    assert [(line.span.name, line.depth, line.linked) for line in lines] == [
        ("span 1", 0, False),
        ("span 2", 1, False),
        ("span 7", 2, True),
        ("span 8", 3, True),
    ]


def test_what_is_cut_off_or_no_message_is_left_out(tmp_path: Path) -> None:
    whole = message("shop", span(1))

    spans = read_spans(kept(tmp_path, (3).to_bytes(4, "big") + b"\xff\xff\xff", whole, whole[:-1]))

    assert [seen.name for seen in spans] == ["span 1"]


def test_so_many_traces_a_second_are_kept_and_no_more() -> None:
    now = 0.0
    rate = Rate(2, lambda: now)

    first = [rate.takes() for _ in range(4)]
    now = 0.5
    second = [rate.takes() for _ in range(2)]
    now = 100.0
    third = [rate.takes() for _ in range(4)]

    assert (first, second, third) == ([True, True, False, False], [True, False], [True, True, False, False])


def test_of_a_rate_of_nothing_nothing_is_kept() -> None:
    now = 0.0
    rate = Rate(0, lambda: now)
    now = 10.0

    assert not rate.takes()
