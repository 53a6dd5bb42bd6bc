"""Logs, traces and metrics: what a process says about itself.

The endpoint that shows the metrics is `tricorn.telemetry.server`, left out here: only processes that serve need it.
"""

from tricorn.telemetry.logs import configure_logging, get_logger
from tricorn.telemetry.metrics import CallFigures, CallStats
from tricorn.telemetry.traces import (
    TraceContext,
    configure_tracing,
    continue_trace,
    current_trace,
    shutdown_tracing,
    span,
    traceparent,
)

__all__ = [
    "CallFigures",
    "CallStats",
    "TraceContext",
    "configure_logging",
    "configure_tracing",
    "continue_trace",
    "current_trace",
    "get_logger",
    "shutdown_tracing",
    "span",
    "traceparent",
]
