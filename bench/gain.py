"""What the whole shop gains when pricing moves to Rust: forecast, then measured with Python and Rust answering in turns."""

import random
import re
import statistics
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import load
import machine
import pricing
import uvloop
from beside import started
from prometheus_client.parser import text_string_to_metric_families
from scenarios import Scenarios
from shadow import CONTRACT, TARGET, wait_for_rust
from shop import Shop

from tricorn.supervise.home import Home

LOADS = ("mix", "quote")
PAIRS = 6
CONNECTIONS = 8
REHEARSALS = 3
WARM_UP = 3.0
_AFTERWARDS = 1.0
"""Seconds in which what requests leave to be done comes to its end."""
_RESAMPLES = 2000
_REHEARSED = re.compile(r"in ([\d.]+) s and back in ([\d.]+) s; (\d+) of (\d+) calls failed")


@dataclass(frozen=True, slots=True)
class Window:
    """Some seconds of load. CPU (ms) and pricing's own part of it are for one request; calls are to pricing, in Python."""

    rate: float
    cpu: float
    failures: int
    pricing_ms: float
    pricing_calls: float


def measure(seconds: float) -> dict[str, Any]:
    """The baskets alone; then windows of half of ``seconds``, Python and Rust in turns, and which of the two comes first alternates too."""
    baskets = pricing.measure()
    with started("grow") as shop:
        wait_for_rust(shop)
        scenarios = Scenarios(shop)
        added = baskets["socket_adds_cpu_us"]
        found = {name: _compared(_turns(shop, scenarios.get(name), seconds / 2), added) for name in LOADS}
        return {"baskets": baskets, "loads": found, "rehearsals": [_rehearsed(shop) for _ in range(REHEARSALS)]}


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    said = [*pricing.lines(found["baskets"]), "", "The whole shop, pricing bound to Python and to Rust in turns:"]
    for name, each in found["loads"].items():
        python, rust, gain, rate = each["python"], each["rust"], each["gain"], each["rate_gain"]
        said += [
            f"  {name}, {each['pricing_calls']:.2f} calls of pricing a request, {each['failures']} requests failed",
            f"    CPU ms: {python['cpu_ms']:.2f} -> {rust['cpu_ms']:.2f}, of it pricing in Python {each['pricing_ms']:.2f}",
            f"    CPU saved: forecast {each['forecast']:.1%}, measured {_spread(gain)}",
            f"    requests/s: {python['per_second']:.0f} -> {rust['per_second']:.0f}, more by {_spread(rate)}",
        ]
    for each in found["rehearsals"]:
        said.append(
            f"  rehearsal: moved in {each['move_seconds']:.2f} s, back in {each['back_seconds']:.2f} s, "
            f"{each['failed']} of {each['calls']} calls failed"
        )
    return said


def _spread(found: dict[str, float]) -> str:
    return f"{found['estimate']:.1%} ({found['low']:.1%} .. {found['high']:.1%})"


def _turns(shop: Shop, make: load.Request, seconds: float) -> list[tuple[Window, Window]]:
    at = urlsplit(shop.url)
    where = (at.hostname or "127.0.0.1", at.port or 80)

    def fast(duration: float) -> load.Result:
        return uvloop.run(load.closed_loop(*where, make, connections=CONNECTIONS, seconds=duration))

    fast(WARM_UP)
    pairs = []
    for number in range(PAIRS):
        order = ("python", "rust") if number % 2 else ("rust", "python")
        taken = {}
        for implementation in order:
            shop.command("bind", f"{TARGET}={implementation}", "--home", str(shop.home))
            taken[implementation] = _window(shop, lambda: fast(seconds))
        pairs.append((taken["python"], taken["rust"]))
    return pairs


def _window(shop: Shop, fast: Callable[[], load.Result]) -> Window:
    time.sleep(_AFTERWARDS)
    cpu, (calls, spent) = _cpu(shop), _pricing(shop)
    result = fast()
    time.sleep(_AFTERWARDS)
    calls_after, spent_after = _pricing(shop)
    each = 1 / max(result.requests, 1)
    return Window(
        result.rate,
        1000 * (_cpu(shop) - cpu) * each,
        result.failures,
        1000 * (spent_after - spent) * each,
        (calls_after - calls) * each,
    )


def _compared(pairs: Sequence[tuple[Window, Window]], call_us: float) -> dict[str, Any]:
    """The forecast is Amdahl's, of a search that takes no time, less what the calls add: us of CPU each, in both processes."""
    cpu = statistics.fmean(python.cpu for python, _ in pairs)
    pricing = statistics.fmean(python.pricing_ms for python, _ in pairs)
    calls = statistics.fmean(python.pricing_calls for python, _ in pairs)

    def mean(some: Sequence[tuple[Window, Window]], which: int, figure: str) -> float:
        return statistics.fmean(getattr(pair[which], figure) for pair in some)

    return {
        "python": {"cpu_ms": cpu, "per_second": mean(pairs, 0, "rate")},
        "rust": {"cpu_ms": mean(pairs, 1, "cpu"), "per_second": mean(pairs, 1, "rate")},
        "pricing_ms": pricing,
        "pricing_calls": calls,
        "forecast": (pricing - calls * call_us / 1000) / cpu,
        "gain": _interval(pairs, lambda some: 1 - mean(some, 1, "cpu") / mean(some, 0, "cpu")),
        "rate_gain": _interval(pairs, lambda some: mean(some, 1, "rate") / mean(some, 0, "rate") - 1),
        "failures": sum(window.failures for pair in pairs for window in pair),
    }


def _interval(
    pairs: Sequence[tuple[Window, Window]], figure: Callable[[Sequence[tuple[Window, Window]]], float]
) -> dict[str, float]:
    """95 %, by resampling pairs."""
    dice = random.Random(7)  # noqa: S311 - statistics, the same each time
    drawn = sorted(figure(dice.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES))
    return {
        "estimate": figure(pairs),
        "low": drawn[int(0.025 * _RESAMPLES)],
        "high": drawn[int(0.975 * _RESAMPLES)],
    }


def _cpu(shop: Shop) -> float:
    """Seconds of every process but the supervisor, PostgreSQL included."""
    state = Home(shop.home).read_state() or {}
    return sum(
        machine.cpu_seconds(each["pid"]) for each in state["processes"] if each["name"] != "supervisor" and each["pid"]
    )


def _pricing(shop: Shop) -> tuple[float, float]:
    """Calls of pricing that Python has answered in the shop's process, and the seconds they took."""
    address = (shop.home / "shop.metrics").read_text().strip()
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    totals = {"_count": 0.0, "_sum": 0.0}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            end = sample.name.removeprefix("tricorn_call_seconds")
            if end in totals and sample.labels["service"] == CONTRACT and sample.labels["implementation"] == "python":
                totals[end] += sample.value
    return totals["_count"], totals["_sum"]


def _rehearsed(shop: Shop) -> dict[str, float]:
    """One rehearsal in the running shop, as `tricorn rehearse` tells it."""
    told = shop.command("rehearse", TARGET, "--home", str(shop.home)).stdout
    found = _REHEARSED.search(told)
    if found is None:
        message = f"the rehearsal said something else: {told}"
        raise ValueError(message)
    move, back, failed, calls = map(float, found.groups())
    return {"move_seconds": move, "back_seconds": back, "failed": int(failed), "calls": int(calls)}
