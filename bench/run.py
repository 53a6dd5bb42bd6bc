"""Measures Agora on this machine, in the shape that `tricorn up` starts, and prints what it found. Nothing is judged.

    ./tricorn bench [NAME...] [--seconds N] [--json FILE]

Names: wire, me, product, quote, order, stats, mix, profile. All by default.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "src"), str(ROOT / "agora/src"), str(ROOT / "tests/system")]

import load  # noqa: E402 - found through the lines above
import machine  # noqa: E402
import profiling  # noqa: E402
import wire  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from shop import Shop  # noqa: E402

LOADED = ("me", "product", "quote", "order", "stats", "mix")
CONNECTIONS = 16
SHARE_OF_THE_MOST = 0.7
BACKENDS = "SELECT pid, coalesce(nullif(application_name, ''), backend_type) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tricorn bench", description="Measure Agora on this machine.")
    parser.add_argument("names", nargs="*", help=f"wire, {', '.join(LOADED)}, profile; all by default")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each run takes (default 8)")
    parser.add_argument("--json", type=Path, help="write what was measured to this file as well")
    asked = parser.parse_args()
    unknown = set(asked.names) - {"wire", "profile", *LOADED}
    if unknown:
        parser.error(f"nothing is called {', '.join(sorted(unknown))}")
    names = asked.names or ["wire", *LOADED, "profile"]
    report: dict[str, Any] = {"machine": machine.describe()}
    _say("machine", **report["machine"])
    if "wire" in names:
        report["wire"] = wire.measure()
        _say("in-process wire call", **report["wire"])
    wanted = [name for name in LOADED if name in names]
    if wanted:
        report["scenarios"] = _scenarios(wanted, asked.seconds)
    if "profile" in names:
        report["profile"] = profiling.profile_mix(print)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1) + "\n")
        print(f"written to {asked.json}")


def _scenarios(names: list[str], seconds: float) -> dict[str, Any]:
    # A rate limit is not what is measured.
    limits = {"TRICORN_RATE_FACTOR": "1000"}
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder:
        shop = Shop(Path(folder) / "home", environment=limits).up()
        try:
            scenarios = Scenarios(shop)
            report = {name: _scenario(shop, name, scenarios.get(name), seconds) for name in names}
            report["memory"] = _memory(shop)
        finally:
            shop.down()
    return report


def _scenario(shop: Shop, name: str, make: Callable[[], bytes], seconds: float) -> dict[str, Any]:
    at = urlsplit(shop.url)
    host, port = at.hostname or "127.0.0.1", at.port or 80
    asyncio.run(load.closed_loop(host, port, make, connections=CONNECTIONS, seconds=1.5))
    backends = _backends(shop)
    before, before_sql = _cpu(shop), machine.backend_seconds(backends)
    most = asyncio.run(load.closed_loop(host, port, make, connections=CONNECTIONS, seconds=seconds))
    after, after_sql = _cpu(shop), machine.backend_seconds(backends)
    paced = asyncio.run(load.open_loop(host, port, make, rate=most.rate * SHARE_OF_THE_MOST, seconds=seconds))
    spent = {part: 1000 * (after[part] - before[part]) / most.requests for part in after}
    found = {
        "requests_per_second": round(most.rate, 1),
        "failures": most.failures + paced.failures,
        "open_loop_rate": round(paced.rate, 1),
        "p50_ms": round(paced.quantile(0.5), 2),
        "p95_ms": round(paced.quantile(0.95), 2),
        "p99_ms": round(paced.quantile(0.99), 2),
        "cpu_ms_per_request": round(sum(spent.values()), 3),
        "cpu_ms_by_process": {part: round(value, 3) for part, value in spent.items()},
    }
    _say(name, **found)
    if name == "order":
        found["cpu_ms_by_backend"] = {
            part: round(1000 * (after_sql[part] - before_sql.get(part, 0)) / most.requests, 3)
            for part in sorted(after_sql)
        }
        _say("  PostgreSQL's part, by backend", **found["cpu_ms_by_backend"])
    return found


def _cpu(shop: Shop) -> dict[str, float]:
    return {
        entry["name"]: machine.cpu_seconds(entry["pid"])
        for entry in shop.status()["processes"]
        if entry["name"] != "supervisor"
    }


def _backends(shop: Shop) -> dict[int, str]:
    rows = [line.split("|") for line in shop.sql(BACKENDS).splitlines()]
    return {int(pid): name for pid, name in rows}


def _memory(shop: Shop) -> dict[str, Any]:
    memory = {
        entry["name"]: round((entry["pssBytes"] or entry["rssBytes"]) / 2**20, 1)
        for entry in shop.status()["processes"]
    }
    _say("memory, MiB of PSS, after the load", **memory)
    return memory


def _say(what: str, **figures: object) -> None:
    print(f"{what:30} " + "  ".join(f"{name} {value}" for name, value in figures.items()), flush=True)


if __name__ == "__main__":
    main()
