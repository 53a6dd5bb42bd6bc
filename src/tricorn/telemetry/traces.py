"""Spans and W3C trace context.

Every request has a trace id, so that logs and answers can name it. Spans are recorded and exported only when an OTLP
endpoint is configured; without one a span is an id and a context variable.
"""

from __future__ import annotations

import os
import random
import re
import time
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tricorn.telemetry.export import Exporter, OtelSpan

_TRACEPARENT = re.compile(r"^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$")
_SAMPLED = 1
_NO_TRACE = "0" * 32
NO_SPAN = "0" * 16  # the parent of a trace's first span
_FORBIDDEN_VERSION = "ff"

# Ids need to be unique, not secret; SystemRandom would cost ten times as much.
_ids = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_ids.seed)


class Rate:
    """So many in a second, and as many at once after a second of none."""

    __slots__ = ("_clock", "_left", "_limit", "_when")

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._left = max(limit, 1.0) if limit > 0 else 0.0
        self._clock = clock
        self._when = clock()

    def takes(self) -> bool:
        """Whether one more is within the limit."""
        now = self._clock()
        self._left = min(self._left + (now - self._when) * self._limit, max(self._limit, 1.0))
        self._when = now
        if self._left < 1.0 or self._limit <= 0:
            return False
        self._left -= 1.0
        return True


class TraceContext:
    """Where in which trace the running code is; ids in lower-case hexadecimal."""

    __slots__ = ("flags", "span_id", "trace_id")

    def __init__(self, trace_id: str, span_id: str, flags: int = _SAMPLED) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.flags = flags

    @property
    def traceparent(self) -> str:
        """The value of the W3C `traceparent` header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


_current: ContextVar[TraceContext | None] = ContextVar("tricorn_trace", default=None)


class _Exporting:
    """The way to the SDK, once `configure_tracing` found an endpoint, and how many traces may begin on it."""

    exporter: Exporter | None = None
    rate: Rate | None = None


def _begin_flags() -> int:
    """Of a trace that begins here: whether it is recorded."""
    rate = _Exporting.rate
    return _SAMPLED if rate is None or rate.takes() else 0


def _flags_for_outsiders() -> int:
    """The same of a trace that somebody outside began; where no rate is set, the SDK's sampler decides as if it began here."""
    if _Exporting.rate is None and _Exporting.exporter is not None:
        return _Exporting.exporter.begin_flags()
    return _begin_flags()


def current_trace() -> TraceContext | None:
    return _current.get()


def traceparent() -> str:
    """The `traceparent` to send along with a call; empty outside a trace."""
    context = _current.get()
    return context.traceparent if context is not None else ""


def parse_traceparent(value: str | None) -> TraceContext | None:
    """Read a `traceparent`; None for one that the W3C recommendation says to ignore."""
    match = _TRACEPARENT.match(value) if value else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == _FORBIDDEN_VERSION or trace_id == _NO_TRACE or span_id == NO_SPAN or (version == "00" and rest):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & _SAMPLED)


class continue_trace:  # noqa: N801 - read as a verb: `with continue_trace(header):`
    """`with continue_trace(header)`: the trace a caller began, or a new one when the header is absent or broken.

    A caller `from_outside` says which trace it is, but not whether it is recorded.
    """

    __slots__ = ("_context", "_token")

    def __init__(self, traceparent: str | None = None, *, from_outside: bool = False) -> None:
        self._context = parse_traceparent(traceparent)
        if from_outside and self._context is not None:
            self._context.flags = _flags_for_outsiders()
        self._token: Token[TraceContext | None] | None = None

    def __enter__(self) -> TraceContext:
        context = self._context
        if context is None:
            context = TraceContext(f"{_ids.getrandbits(128) | 1:032x}", NO_SPAN, _begin_flags())
        self._token = _current.set(context)
        return context

    def __exit__(self, *_: object) -> None:
        _reset(self._token)


class span:  # noqa: N801 - read as a noun: `with span("orders.place", order_id=...):`
    """`with span(name, **attributes)`: a piece of work within the current trace, or the first of a new one.

    Attributes must be str, bool, int or float. An exception that leaves the block marks the span as failed and goes on.
    """

    __slots__ = ("_attributes", "_kind", "_name", "_otel", "_token", "context")

    def __init__(self, name: str, /, *, kind: str = "internal", **attributes: str | float | bool) -> None:
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._otel: OtelSpan | None = None
        self._token: Token[TraceContext | None] | None = None
        self.context: TraceContext

    def __enter__(self) -> Self:
        parent = _current.get()
        flags = _begin_flags() if parent is None else parent.flags
        if _Exporting.exporter is not None and (flags or _Exporting.rate is None):
            self._otel, context = _Exporting.exporter.start(self._name, self._kind, self._attributes, parent)
        elif parent is not None:
            context = TraceContext(parent.trace_id, f"{_ids.getrandbits(64) | 1:016x}", parent.flags)
        else:
            context = TraceContext(f"{_ids.getrandbits(128) | 1:032x}", f"{_ids.getrandbits(64) | 1:016x}", flags)
        self.context = context
        self._token = _current.set(context)
        return self

    def set(self, name: str, value: str | float | bool) -> None:
        """Add an attribute that was not known at the start."""
        if self._otel is not None:
            self._otel.set(name, value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _reset(self._token)
        if self._otel is not None:
            self._otel.finish(error)


def _reset(token: Token[TraceContext | None] | None) -> None:
    if token is None:
        return
    try:
        _current.reset(token)
    except ValueError:
        # An async generator may be closed in another context than the one that entered, which ends with its task.
        return


def configure_tracing(process: str) -> bool:
    """Export spans if `OTEL_EXPORTER_OTLP_ENDPOINT` (or its `_TRACES_` form) is set; True if they will be.

    The other standard `OTEL_*` variables (headers, sampler, batch sizes, resource attributes) hold as the SDK says. With
    `TRICORN_TRACE_RATE`, so many of the traces that begin here or come from outside are recorded in a second; those that other
    processes of the application began are as they say.
    """
    if not (os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        return False
    if _Exporting.exporter is None:
        from tricorn.telemetry.export import Exporter  # noqa: PLC0415 - the SDK costs 0.2 s and few set an endpoint

        _Exporting.exporter = Exporter(process)
        said = os.environ.get("TRICORN_TRACE_RATE")
        _Exporting.rate = Rate(float(said)) if said else None
    return True


def shutdown_tracing() -> None:
    """Send what is still queued, then stop exporting."""
    exporter, _Exporting.exporter = _Exporting.exporter, None
    _Exporting.rate = None
    if exporter is not None:
        exporter.shutdown()
