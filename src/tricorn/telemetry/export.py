"""The way to OpenTelemetry's SDK: spans that are recorded and sent over OTLP/HTTP."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision

from tricorn.telemetry.traces import NO_SPAN, TraceContext

if TYPE_CHECKING:
    from collections.abc import Mapping


class OtelSpan:
    """A span that is being recorded."""

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, name: str, value: str | float | bool) -> None:
        self._span.set_attribute(name, value)

    def finish(self, error: BaseException | None) -> None:
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, type(error).__name__))
        self._span.end()


class Exporter:
    """Sends spans in batches, in the background; a collector that does not answer costs spans, never requests."""

    def __init__(self, process: str) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": process}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("tricorn")

    def start(
        self, name: str, kind: str, attributes: Mapping[str, str | float | bool], parent: TraceContext | None
    ) -> tuple[OtelSpan, TraceContext]:
        """Begin a span of `kind` (internal, server, client, producer, consumer) below `parent`."""
        around = Context()
        if parent is not None and parent.span_id != NO_SPAN:
            remote = trace.SpanContext(
                int(parent.trace_id, 16),
                int(parent.span_id, 16),
                is_remote=False,
                trace_flags=trace.TraceFlags(parent.flags),
            )
            around = trace.set_span_in_context(trace.NonRecordingSpan(remote), around)
        made = self._tracer.start_span(
            name, context=around, kind=trace.SpanKind[kind.upper()], attributes=dict(attributes)
        )
        ids = made.get_span_context()
        context = TraceContext(f"{ids.trace_id:032x}", f"{ids.span_id:016x}", int(ids.trace_flags))
        return OtelSpan(made), context

    def begin_flags(self) -> int:
        """What the sampler says of a trace that begins now."""
        said = self._provider.sampler.should_sample(None, random.getrandbits(128), "")
        return int(said.decision is Decision.RECORD_AND_SAMPLE)

    def shutdown(self) -> None:
        self._provider.shutdown()
