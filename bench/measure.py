"""One scenario on a running shop: how much it can, how long an answer takes at a pace it can keep, what CPU it costs."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import load
import machine
import uvloop
from shop import Shop

CONNECTIONS = 16
WARM_UP = 3.0
SHARE_OF_THE_MOST = 0.5
AFTERWARDS = 1.5
"""Seconds in which what requests leave to be done (capture, events, the ledger's chain) comes to its end."""

_BACKENDS = (
    "SELECT pid, coalesce(nullif(application_name, ''), backend_type) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid()"
)


def scenario(shop: Shop, make: load.Request, seconds: float) -> dict[str, Any]:
    """Warms up, goes as fast as it can, then at half of that in an open loop. CPU is that of the fast part."""
    at = urlsplit(shop.url)
    host, port = at.hostname or "127.0.0.1", at.port or 80

    def fast(duration: float) -> load.Result:
        return uvloop.run(load.closed_loop(host, port, make, connections=CONNECTIONS, seconds=duration))

    fast(WARM_UP)
    time.sleep(AFTERWARDS)
    backends = _backends(shop)
    spent = _spent(lambda: _processes(shop)), _spent(lambda: machine.backend_seconds(backends))
    most = fast(seconds)
    time.sleep(AFTERWARDS)
    by_process, by_backend = (each(most.requests) for each in spent)
    paced = uvloop.run(load.open_loop(host, port, make, rate=most.rate * SHARE_OF_THE_MOST, seconds=seconds))
    return {
        "requests_per_second": round(most.rate, 1),
        "failures": most.failures + paced.failures,
        "statuses": {str(status): most.statuses.get(status, 0) + paced.statuses.get(status, 0)
                     for status in sorted({*most.statuses, *paced.statuses})},
        "paced_per_second": round(most.rate * SHARE_OF_THE_MOST, 1),
        "p50_ms": round(paced.quantile(0.5), 2),
        "p95_ms": round(paced.quantile(0.95), 2),
        "p99_ms": round(paced.quantile(0.99), 2),
        "cpu_ms": round(sum(by_process.values()), 3),
        "cpu_ms_by_process": by_process,
        "cpu_ms_by_backend": by_backend,
    }  # fmt: skip


def memory(shop: Shop) -> dict[str, float]:
    """MiB of each process: PSS, or RSS where the system has none."""
    return {
        entry["name"]: round((entry["pssBytes"] or entry["rssBytes"]) / 2**20, 1)
        for entry in shop.status()["processes"]
    }


def _spent(look: Callable[[], dict[str, float]]) -> Callable[[int], dict[str, float]]:
    """Looks now; what it gives looks again, and says what was spent between for each of so many requests, in ms."""
    before = look()

    def since(requests: int) -> dict[str, float]:
        after = look()
        parts = {part: round(1000 * (after[part] - before.get(part, 0.0)) / max(requests, 1), 3) for part in after}
        return dict(sorted(parts.items(), key=lambda part: -part[1]))

    return since


def _processes(shop: Shop) -> dict[str, float]:
    return {
        entry["name"]: machine.cpu_seconds(entry["pid"])
        for entry in shop.status()["processes"]
        if entry["name"] != "supervisor"
    }


def _backends(shop: Shop) -> dict[int, str]:
    """PostgreSQL's own processes: for a connection the context that it belongs to."""
    rows = [line.split("|") for line in shop.sql(_BACKENDS).splitlines()]
    return {int(pid): name.removeprefix("agora-") for pid, name in rows}
