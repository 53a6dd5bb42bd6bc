"""What shadow adds: quotes at a fixed rate, in turns with `tricorn shadow pricing --sample 5%` and without it."""

import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import load
import machine
import uvloop
from beside import started
from scenarios import Scenarios
from shop import Shop

from tricorn.supervise.control import ControlClient
from tricorn.supervise.home import Home
from tricorn.supervise.reports import wait_until_held

TARGET = "pricing"
CONTRACT = "agora.pricing.v1.PricingService"
SAMPLE = 500
PAIRS = 8
SHARE_OF_THE_MOST = 0.4
_SETTLE = 0.5
_RESAMPLES = 2000
_HELD_SECONDS = 5.0
_BUILD_SECONDS = 1800.0


@dataclass(slots=True)
class Window:
    """Some seconds of load: CPU of all processes in ms for one request, and how long each request took, in ms."""

    cpu: float
    latencies: list[float]
    failures: int


@dataclass(slots=True)
class Turns:
    """Windows without shadow and with it, side by side."""

    off: list[Window] = field(default_factory=list)
    on: list[Window] = field(default_factory=list)


def measure(seconds: float) -> dict[str, Any]:
    """Alternates windows of half of ``seconds``; which of the two comes first alternates too.

    The shop grows a native part for pricing, which is waited for; Python is made to answer the callers.
    """
    with started("grow") as shop:
        wait_for_rust(shop)
        return _measure(shop, Scenarios(shop).get("quote"), seconds)


def _measure(shop: Shop, quote: load.Request, seconds: float) -> dict[str, Any]:
    shop.command("bind", f"{TARGET}=python", "--home", str(shop.home))
    client = ControlClient(Home(shop.home))

    def shadowed(on: bool) -> None:
        arguments: dict[str, Any] = {"implementation": "rust", "sample": SAMPLE} if on else {}
        answer = client.call("shadow.start" if on else "shadow.stop", target=CONTRACT, **arguments)
        wait_until_held(shop.home, answer["generation"], _HELD_SECONDS)
        time.sleep(_SETTLE)

    at = urlsplit(shop.url)
    where = (at.hostname or "127.0.0.1", at.port or 80)
    most = uvloop.run(load.closed_loop(*where, quote, connections=8, seconds=seconds / 2))
    rate = most.rate * SHARE_OF_THE_MOST
    turns = Turns()
    for number in range(PAIRS):
        for on in (False, True) if number % 2 else (True, False):
            shadowed(on=True)
            if not on:
                shadowed(on=False)
            (turns.on if on else turns.off).append(_window(shop, where, quote, rate, seconds / 2))
    found = json.loads(shop.command("shadow", TARGET, "--json", "--home", str(shop.home)).stdout)["methods"]
    return {**compared(turns), "rate": round(rate, 1), "sample": SAMPLE / 10_000, "found": found}


def compared(turns: Turns) -> dict[str, Any]:
    """Means and differences (with shadow less without), with intervals from resampling pairs of windows."""
    pairs = list(zip(turns.off, turns.on, strict=True))
    return {
        "cpu_ms": {"off": _mean(turns.off), "on": _mean(turns.on)},
        "cpu_ms_added": _interval(pairs, lambda some: _mean([on for _, on in some]) - _mean([off for off, _ in some])),
        "p99_ms": {"off": _p99(turns.off), "on": _p99(turns.on)},
        "p99_ms_added": _interval(pairs, lambda some: _p99([on for _, on in some]) - _p99([off for off, _ in some])),
        "requests": sum(len(window.latencies) for window in (*turns.off, *turns.on)),
        "failures": sum(window.failures for window in (*turns.off, *turns.on)),
    }


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    cpu, p99 = found["cpu_ms_added"], found["p99_ms_added"]
    requests = f"{found['requests']:,} of them, {found['failures']} failed"
    said = [f"shadow at {found['sample']:.0%}, {found['rate']:g} quotes/s, {requests}"]
    for name, key, added in (("CPU", "cpu_ms", cpu), ("P99", "p99_ms", p99)):
        without, with_it = found[key]["off"], found[key]["on"]
        interval = f"{added['low']:+.3f} .. {added['high']:+.3f}"
        said.append(
            f"  {name} of a quote  {without:.3f} ms without, {with_it:.3f} ms with: {added['estimate']:+.3f} ms ({interval})"
        )
    for each in found["found"]:
        path = each["onCallersPath"]
        if path["calls"]:
            said.append(
                f"  {each['method'].partition('/')[2]}: {path['p50']['estimate'] * 1e6:.1f} us on the caller's path of a "
                f"call of the sample; {each['same']:,} the same, {each['different']:,} different"
            )
    return said


def wait_for_rust(shop: Shop) -> None:
    """Until a shop that grows has its native part for pricing."""
    shop.wait_until(lambda: "rust" in _endpoints(shop), _BUILD_SECONDS)


def _endpoints(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shop.home / "endpoints.json").read_bytes())["endpoints"][CONTRACT]
    return found


def _window(shop: Shop, where: tuple[str, int], quote: load.Request, rate: float, seconds: float) -> Window:
    before = _cpu(shop)
    result = uvloop.run(load.open_loop(*where, quote, rate=rate, seconds=seconds))
    time.sleep(_SETTLE)
    spent = _cpu(shop) - before
    return Window(1000 * spent / max(result.requests, 1), [1000 * each for each in result.latencies], result.failures)


def _cpu(shop: Shop) -> float:
    """Seconds of every process but the supervisor and PostgreSQL, whose share shadow does not touch."""
    state = Home(Path(shop.home)).read_state() or {}
    names = {"supervisor", "postgres"}
    return sum(
        machine.cpu_seconds(each["pid"]) for each in state["processes"] if each["name"] not in names and each["pid"]
    )


def _mean(windows: Sequence[Window]) -> float:
    return statistics.fmean(window.cpu for window in windows)


def _p99(windows: Sequence[Window]) -> float:
    ordered = sorted(latency for window in windows for latency in window.latencies)
    return ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))] if ordered else 0.0


def _interval(
    pairs: Sequence[tuple[Window, Window]], figure: Callable[[Sequence[tuple[Window, Window]]], float]
) -> dict[str, float]:
    dice = random.Random(7)  # noqa: S311 - statistics, the same each time
    drawn = sorted(figure(dice.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES))
    return {
        "estimate": figure(pairs),
        "low": drawn[int(0.025 * _RESAMPLES)],
        "high": drawn[int(0.975 * _RESAMPLES)],
    }
