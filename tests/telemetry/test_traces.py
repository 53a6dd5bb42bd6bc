from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tricorn.telemetry import continue_trace, current_trace, span, traceparent
from tricorn.telemetry.traces import parse_traceparent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_that_a_caller_began_goes_on() -> None:
    with continue_trace(HEADER):
        assert traceparent() == HEADER
        with span("inner"):
            version, trace_id, span_id, flags = traceparent().split("-")

    assert (version, trace_id, flags) == ("00", "0af7651916cd43dd8448eb211c80319c", "01")
    assert span_id != "b7ad6b7169203331"
    assert current_trace() is None


def test_an_unsampled_trace_stays_unsampled() -> None:
    with continue_trace(HEADER[:-2] + "00"), span("inner"):
        assert traceparent().endswith("-00")


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "",
        "nonsense",
        HEADER.upper(),
        HEADER + "-more",
        "ff" + HEADER[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_a_broken_header_begins_a_new_trace(broken: str | None) -> None:
    assert parse_traceparent(broken) is None
    with continue_trace(broken) as context:
        assert len(context.trace_id) == 32
        assert context.trace_id != "0af7651916cd43dd8448eb211c80319c"


def test_a_later_version_of_the_header_is_understood() -> None:
    context = parse_traceparent("01" + HEADER[2:] + "-more")

    assert context is not None
    assert context.traceparent == HEADER


async def test_tasks_carry_the_trace_of_whoever_started_them() -> None:
    async def work() -> str:
        with span("task"):
            await asyncio.sleep(0)
            context = current_trace()
            assert context is not None
            return context.trace_id

    with span("a") as first:
        task = asyncio.create_task(work())
    with span("b") as second:
        assert await work() == second.context.trace_id
    assert await task == first.context.trace_id


async def test_a_generator_closed_elsewhere_leaves_the_trace_of_others_alone() -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        with span("stream"):
            yield 1

    stream = numbers()
    await asyncio.create_task(anext(stream))
    with span("other") as other:
        await asyncio.create_task(stream.aclose())
        assert current_trace() is other.context


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.path.encode() + b" " + self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_are_exported_when_an_endpoint_is_set(collector: tuple[str, list[bytes]]) -> None:
    endpoint, received = collector
    program = f"""
import json
from tricorn.telemetry import configure_tracing, continue_trace, shutdown_tracing, span, traceparent
assert configure_tracing("shop")
with continue_trace({HEADER!r}), span("orders.place", kind="server", order="o1") as outer:
    outer.set("late", 7)
    try:
        with span("payments.authorise"):
            sent = traceparent()
            raise ValueError("declined")
    except ValueError:
        pass
shutdown_tracing()
print(json.dumps([outer.context.traceparent, sent]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "PYTHONPATH": ":".join(sys.path), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=True,
    )

    outer, inner = json.loads(done.stdout)
    assert outer.split("-")[1] == inner.split("-")[1] == HEADER.split("-")[1]
    [body] = received
    assert body.startswith(b"/v1/traces ")
    for part in (b"shop", b"orders.place", b"payments.authorise", b"declined", bytes.fromhex(HEADER.split("-")[2])):
        assert part in body


@pytest.mark.parametrize(
    ("variable", "value", "recorded"),
    [
        ("TRICORN_TRACE_RATE", "0.000001", [1, 0, 0]),  # the first one, and a second in eleven days
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off", [0, 0, 0]),
        ("OTEL_TRACES_SAMPLER", "parentbased_always_on", [1, 1, 1]),
    ],
)
def test_who_asks_from_outside_says_which_trace_it_is_and_not_whether_it_is_recorded(
    collector: tuple[str, list[bytes]], variable: str, value: str, recorded: list[int]
) -> None:
    program = f"""
from tricorn.telemetry import configure_tracing, continue_trace, shutdown_tracing, span, traceparent
configure_tracing("shop")
for flags in ("00", "01", "01"):
    with continue_trace({HEADER[:-2]!r} + flags, from_outside=True), span("GET", kind="server"):
        print(traceparent())
shutdown_tracing()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector[0],
            "PYTHONPATH": ":".join(sys.path),
            "NO_PROXY": "*",
            variable: value,
        },
        capture_output=True,
        text=True,
        check=True,
    )

    said = [line.split("-") for line in done.stdout.split()]
    assert {trace for _, trace, _, _ in said} == {HEADER.split("-")[1]}
    assert [int(flags) for *_, flags in said] == recorded
