"""The `/metrics` endpoint: Prometheus text on a listener of its own, never on the public port."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client import Metric

    from tricorn.telemetry.metrics import CallStats

_REQUEST_LIMIT = 16 * 1024
_REQUEST_SECONDS = 5


_LABELS = ("service", "method", "implementation")


class CallCollector(Collector):
    """Shows a `CallStats` as `tricorn_calls_total`, `tricorn_call_errors_total` and `tricorn_call_seconds`.

    With `asked`, the calls were made here and answered by native implementations in other processes: they are shown as
    `tricorn_asked_calls_total` and so on, with `tricorn_fallback_total` for those that the reference answered instead.
    """

    def __init__(self, stats: CallStats, *, asked: bool = False) -> None:
        self._stats = stats
        self._asked = asked

    def collect(self) -> Iterator[Metric]:
        prefix, how = ("tricorn_asked", "asked of a native implementation") if self._asked else ("tricorn", "answered")
        calls = CounterMetricFamily(f"{prefix}_calls", f"Calls {how}.", labels=_LABELS)
        errors = CounterMetricFamily(f"{prefix}_call_errors", f"Calls {how} that ended with an error.", labels=_LABELS)
        seconds = HistogramMetricFamily(f"{prefix}_call_seconds", "Time from request to answer.", labels=_LABELS)
        for times in self._stats.raw():
            values = [times.service, times.method, times.implementation]
            calls.add_metric(values, times.calls)
            errors.add_metric(values, times.errors)
            bounds = [("+Inf" if bound == float("inf") else repr(bound), count) for bound, count in times.cumulative()]
            seconds.add_metric(values, bounds, times.seconds)
        yield from (calls, errors, seconds)
        if self._asked:
            yield self._fallbacks()

    def _fallbacks(self) -> Metric:
        told = (
            "Calls bound to an implementation that the reference answered instead, or that were refused above the cap."
        )
        fallbacks = CounterMetricFamily("tricorn_fallback", told, labels=[*_LABELS, "why"])
        for (name, implementation, why), count in self._stats.fallbacks().items():
            service, _, method = name.partition("/")
            fallbacks.add_metric([service, method, implementation, why], count)
        return fallbacks


def registry(stats: CallStats, *, asked: CallStats | None = None) -> CollectorRegistry:
    """A registry with the calls, the process (CPU, memory, descriptors) and the interpreter's garbage collector.

    Args:
        stats: the calls that this process answered.
        asked: the calls that it made to native implementations.
    """
    made = CollectorRegistry()
    made.register(CallCollector(stats))
    if asked is not None:
        made.register(CallCollector(asked, asked=True))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


class MetricsServer:
    """Answers `GET /metrics`; everything else is a 404."""

    def __init__(self, metrics: CollectorRegistry) -> None:
        self._metrics = metrics
        self._server: asyncio.Server | None = None
        self.address = ""

    async def start(self, address: str = "127.0.0.1:0", *, note: Path | None = None) -> str:
        """Listen on "host:port" (port 0: any free one) or "unix:/path"; return the address, and write it to `note`.

        Raises:
            OSError: the address is taken or not ours.
        """
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            self._server = await asyncio.start_unix_server(self._answer, path, limit=_REQUEST_LIMIT)
            os.chmod(path, 0o600)  # noqa: PTH101 - a socket, not a file
            self.address = address
        else:
            host, _, port = address.rpartition(":")
            self._server = await asyncio.start_server(self._answer, host.strip("[]"), int(port), limit=_REQUEST_LIMIT)
            self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"
        if note is not None:
            note.write_text(self.address + "\n")  # noqa: ASYNC240 - a line, once, at the start
        return self.address

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(self._response(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    def _response(self, head: str) -> bytes:
        request, *headers = head.split("\r\n")
        method, _, target = request.rpartition(" ")[0].partition(" ")
        if target.partition("?")[0] != "/metrics":
            return _http("404 Not Found", "text/plain", b"metrics are at /metrics\n")
        if method not in {"GET", "HEAD"}:
            return _http("405 Method Not Allowed", "text/plain", b"GET only\n", "Allow: GET, HEAD\r\n")
        accept = next((line.partition(":")[2].strip() for line in headers if line.lower().startswith("accept:")), "")
        encode, content_type = choose_encoder(accept)
        body = encode(self._metrics)
        return _http("200 OK", content_type, body, with_body=method == "GET")


def _http(status: str, content_type: str, body: bytes, extra: str = "", *, with_body: bool = True) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"{extra}Connection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (body if with_body else b"")
