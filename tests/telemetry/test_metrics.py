from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.telemetry import CallStats
from tricorn.telemetry.server import MetricsServer, registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ORDERS = "agora.orders.v1.OrdersService"


def test_figures_are_kept_for_each_service_and_implementation() -> None:
    stats = CallStats()
    stats.observe(f"{ORDERS}/CreateOrder", "python", 0.004, error=False)
    stats.observe(f"{ORDERS}/GetOrder", "python", 0.002, error=True)
    stats.observe(f"{ORDERS}/GetOrder", "go", 0.001, error=False)

    go, python = stats.snapshot()

    assert (go.implementation, go.calls, go.errors) == ("go", 1, 0)
    assert (python.service, python.calls, python.errors) == (ORDERS, 2, 1)
    assert python.mean_milliseconds == pytest.approx(3)
    assert [figures.service for figures in stats.methods()] == [
        f"{ORDERS}/CreateOrder",
        f"{ORDERS}/GetOrder",
        f"{ORDERS}/GetOrder",
    ]


@given(st.lists(st.floats(1e-6, 200), min_size=1, max_size=300))
def test_the_p99_is_never_too_low_and_at_most_an_eighth_too_high(times: list[float]) -> None:
    stats = CallStats()
    for seconds in times:
        stats.observe(f"{ORDERS}/GetOrder", "python", seconds, error=False)

    [figures] = stats.snapshot()
    rank = -(-len(times) * 99 // 100) - 1
    exact = sorted(times)[rank]
    assert exact * 1000 <= figures.p99_milliseconds * (1 + 1e-9)
    assert figures.p99_milliseconds <= exact * 1000 * 1.125 * (1 + 1e-9)


def test_times_out_of_range_are_counted_too() -> None:
    stats = CallStats()
    for seconds in (-1.0, 0.0, 1e-12, 1e9):
        stats.observe(f"{ORDERS}/GetOrder", "python", seconds, error=False)

    assert stats.snapshot()[0].calls == 4


def test_no_call_is_lost_between_threads() -> None:
    stats = CallStats()

    def work() -> None:
        for _ in range(5000):
            stats.observe(f"{ORDERS}/GetOrder", "python", 0.001, error=False)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stats.snapshot()[0].calls == 20000


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    stats = CallStats()
    stats.observe(f"{ORDERS}/GetOrder", "python", 0.003, error=True)
    server = MetricsServer(registry(stats))
    address = await server.start(note=tmp_path / "metrics")
    assert (tmp_path / "metrics").read_text() == f"{address}\n"
    yield f"http://{address}"
    await server.stop()


async def test_the_endpoint_shows_calls_and_the_process_in_prometheus_text(endpoint: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{endpoint}/metrics")

    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain")
    assert any(line.startswith("tricorn_calls_total{") and line.endswith(" 1.0") for line in lines)
    assert any(line.startswith("tricorn_call_errors_total{") and line.endswith(" 1.0") for line in lines)
    counts = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("tricorn_call_seconds_bucket")]
    assert counts == sorted(counts)
    assert counts[-1] == 1
    assert counts[0] == 0
    assert "process_resident_memory_bytes" in answer.text
    assert 'method="GetOrder"' in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("HEAD", "/metrics", 200)]
)
async def test_other_requests_are_refused(endpoint: str, method: str, path: str, status: int) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.request(method, endpoint + path)

    assert answer.status_code == status


async def test_the_endpoint_can_be_a_private_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    server = MetricsServer(registry(CallStats()))
    await server.start(f"unix:{path}")
    try:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path))) as client:
            answer = await client.get("http://metrics/metrics")
    finally:
        await server.stop()

    assert answer.status_code == 200
    assert path.stat().st_mode & 0o077 == 0


async def test_calls_to_native_implementations_and_those_that_fell_back_are_shown() -> None:
    answered, asked = CallStats(), CallStats()
    asked.observe(f"{ORDERS}/GetOrder", "rust", 0.004, error=False)
    asked.fell_back(f"{ORDERS}/GetOrder", "rust", "broke_off")
    asked.fell_back(f"{ORDERS}/GetOrder", "rust", "broke_off")
    server = MetricsServer(registry(answered, asked=asked))
    address = await server.start("127.0.0.1:0")

    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://{address}/metrics")).text
    await server.stop()

    labels = f'service="{ORDERS}",method="GetOrder",implementation="rust"'.split(",")
    calls, fallbacks = (
        next(line for line in text.splitlines() if line.startswith(name + "{"))
        for name in ("tricorn_asked_calls_total", "tricorn_fallback_total")
    )
    assert all(label in calls and label in fallbacks for label in labels)
    assert 'why="broke_off"' in fallbacks
    assert (calls.split()[-1], fallbacks.split()[-1]) == ("1.0", "2.0")
