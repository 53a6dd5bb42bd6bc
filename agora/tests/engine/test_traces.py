"""Spans go to a collector over OTLP/HTTP, below those of whoever called."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_process import PRICING, SECONDS, started
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.contract import Refusal

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
METHOD = f"{PRICING}/PriceProducts"


class Collector:
    """Takes what is posted, as an OTLP receiver does; anything else is an error."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[ExportTraceServiceRequest] = asyncio.Queue()
        self.heads: list[str] = []
        self.endpoint = ""
        self.closes = True

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Collector"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.partition(":")[2]) for line in head.split("\r\n") if line.startswith("Content-Length:"))
        self.heads.append(head)
        self.received.put_nowait(ExportTraceServiceRequest.FromString(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        if self.closes:
            writer.close()
        else:
            await reader.read()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector().serving() as collector:
        yield collector


async def spans_of_one_run(binary: Path, home: Path, collector: Collector, **metadata: str) -> list[Span]:
    """One good call and one that is refused; the spans that were sent by the end of the process."""
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=agora%20shop",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
    }
    async with started(binary, home, environment=environment) as engine:
        await engine.call(METHOD, pb.PriceProductsRequest(tier=pb.TIER_GOLD), **metadata)
        with pytest.raises(Refusal):
            await engine.call(METHOD, pb.PriceProductsRequest(), **metadata)
        engine.process.terminate()
        assert await engine.ended() == 0
    spans = []
    while not collector.received.empty():
        for resource in collector.received.get_nowait().resource_spans:
            attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert attributes == {"service.name": "engine", "deployment.environment": "test"}
            spans += [span for scope in resource.scope_spans for span in scope.spans]
    return spans


async def test_a_span_lies_below_the_caller_s(binary: Path, tmp_path: Path, collector: Collector) -> None:
    async with asyncio.timeout(2 * SECONDS):
        answered, refused = await spans_of_one_run(binary, tmp_path, collector, traceparent=f"00-{TRACE}-{PARENT}-01")

    for span in (answered, refused):
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert (span.name, span.kind) == (METHOD, Span.SPAN_KIND_SERVER)
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    assert answered.span_id != refused.span_id
    assert answered.status.code == Status.STATUS_CODE_UNSET
    assert (refused.status.code, refused.status.message) == (Status.STATUS_CODE_ERROR, "INVALID_ARGUMENT")
    assert all("x-tenant: agora shop" in head for head in collector.heads)


async def test_a_trace_that_is_not_recorded_is_not_sent(binary: Path, tmp_path: Path, collector: Collector) -> None:
    async with asyncio.timeout(2 * SECONDS):
        spans = await spans_of_one_run(binary, tmp_path, collector, traceparent=f"00-{TRACE}-{PARENT}-00")

    assert spans == []


async def test_a_call_without_a_trace_begins_one(binary: Path, tmp_path: Path, collector: Collector) -> None:
    async with asyncio.timeout(2 * SECONDS):
        first, second = await spans_of_one_run(binary, tmp_path, collector)

    assert first.parent_span_id == second.parent_span_id == b""
    assert first.trace_id != second.trace_id


async def test_a_collector_that_leaves_connections_open_is_not_waited_for(
    binary: Path, tmp_path: Path, collector: Collector
) -> None:
    collector.closes = False
    async with started(binary, tmp_path, environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}) as engine:
        await engine.call(METHOD, pb.PriceProductsRequest(tier=pb.TIER_GOLD))
        engine.process.terminate()
        assert await engine.ended() == 0
        assert "spans could not be sent" not in engine.events()

    assert not collector.received.empty()


async def test_a_collector_that_cannot_be_reached_costs_spans_and_no_calls(binary: Path, tmp_path: Path) -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    async with started(binary, tmp_path, environment=environment) as engine:
        await engine.call(METHOD, pb.PriceProductsRequest(tier=pb.TIER_GOLD))
        engine.process.terminate()
        assert await engine.ended() == 0
        assert "spans could not be sent" in engine.events()
