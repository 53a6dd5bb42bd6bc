"""Both shapes of Agora and both rivals in one run, in turns: what they can, what it costs, and how long answers take at the same pace."""

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import client
import journey
from beside import Side, Window, all_sides, native_parts, window
from plans import Plans

SCENARIOS = ("product", "me", "order", "mix")
ROUNDS = 3
CONNECTIONS = 32
MOST_OPEN = 128
PACE_SHARE = 0.7
_WARM_UP = 2.0
_BASE = "flask"
"""Whom the ratios are to, and of whose rate the pace is a share."""


def measure(seconds: float) -> dict[str, Any]:
    """Every side passes the journey first. ``seconds`` is how long each side is loaded in each loop, all rounds together."""
    client.program()
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder, all_sides() as sides:
        checks = {side.name: journey.check(side.url) for side in sides}
        idle = {side.name: side.memory() for side in sides}
        found = {}
        for name in SCENARIOS:
            plans = {side.known.kid: Plans(side.known) for side in sides}
            files = {side.name: side.plan(name, Path(folder), plans[side.known.kid]) for side in sides}
            found[name] = _scenario(sides, files, seconds)
            print("\n" + "\n".join(_table(name, found[name])), flush=True)
            for side in sides:
                side.forget_plans()
        native = next((side for side in sides if side.name == "native"), None)
        return {
            "checks": checks,
            "native_parts": native_parts(native) if native else None,
            "idle_mib": idle,
            "loaded_mib": {side.name: side.memory() for side in sides},
            "scenarios": found,
        }


def lines(found: dict[str, Any]) -> list[str]:
    """For people: what is not in the tables of the scenarios."""
    said = [
        f"The native shape had {found['native_parts']}." if found["native_parts"] else "The native shape was left out.",
        f"Each side passed the journey before: {', '.join(f'{name} {n}' for name, n in found['checks'].items())} checks.",
        "",
        "MiB of PSS, PostgreSQL left out:",
    ]
    for name, sizes in found["loaded_mib"].items():
        idle = sum(found["idle_mib"][name].values())
        parts = ", ".join(f"{part} {size}" for part, size in sizes.items())
        said.append(f"  {name:10}{idle:9.1f} before the load, {sum(sizes.values()):9.1f} after it ({parts})")
    return [*said, "", *_by_memory(found)]


def _scenario(sides: Sequence[Side], files: dict[str, Path], seconds: float) -> dict[str, Any]:
    for side in sides:
        window(side, files[side.name], callers=CONNECTIONS, seconds=_WARM_UP)
    fast: dict[str, list[Window]] = {side.name: [] for side in sides}
    for number in range(ROUNDS):
        for side in _turn(sides, number):
            each = window(side, files[side.name], callers=CONNECTIONS, seconds=seconds / ROUNDS)
            fast[side.name].append(each)
    rates = {name: statistics.median(each.rate for each in windows) for name, windows in fast.items()}
    paces = _paces(rates)
    return {
        "per_second": rates,
        "cpu_ms": {name: statistics.median(each.cpu_ms for each in windows) for name, windows in fast.items()},
        "cpu_ms_by_process": {name: _parts(windows) for name, windows in fast.items()},
        "spread": {
            name: [min(w.rate for w in windows), max(w.rate for w in windows)] for name, windows in fast.items()
        },
        "failures": {name: sum(each.report["failures"] for each in windows) for name, windows in fast.items()},
        "paced": [_paced(sides, files, rates, pace, seconds) for pace in paces],
    }


def _paces(rates: dict[str, float]) -> list[float]:
    """A share of what the base can; and of what the slowest can, where that is clearly less."""
    base = rates.get(_BASE, min(rates.values())) * PACE_SHARE
    least = min(rates.values()) * PACE_SHARE
    return [base] if least > base / 1.1 else [base, least]


def _paced(
    sides: Sequence[Side], files: dict[str, Path], rates: dict[str, float], pace: float, seconds: float
) -> dict[str, Any]:
    """The open loop at one absolute rate, in turns, for those who can keep it; of each the middle round by P95."""
    able = [side for side in sides if rates[side.name] > pace]
    rounds: dict[str, list[dict[str, Any]]] = {side.name: [] for side in able}
    for number in range(ROUNDS):
        for side in _turn(able, number):
            options: dict[str, Any] = {"callers": MOST_OPEN, "seconds": seconds / ROUNDS, "rate": pace}
            report = client.ask("http", address=side.address, plan=files[side.name], seed=number, **options)
            rounds[side.name].append(report)
    middle = {name: sorted(each, key=lambda one: one["p95Ms"])[len(each) // 2] for name, each in rounds.items()}
    return {
        "per_second": pace,
        "unable": [side.name for side in sides if side not in able],
        "sides": {
            name: {key: report[key] for key in ("p50Ms", "p95Ms", "p99Ms", "longestMs", "failures")}
            for name, report in middle.items()
        },
    }


def _table(name: str, found: dict[str, Any]) -> list[str]:
    rates, cpu = found["per_second"], found["cpu_ms"]
    said = [
        f"{name}: ratios to {_BASE}, median of {ROUNDS} rounds in turns, {CONNECTIONS} connections",
        f"{'':10}{'x rate':>9}{'x less CPU':>12}{'requests/s':>12}{'least .. most':>18}{'CPU ms':>9}{'failed':>8}   CPU by process",
    ]
    for side in rates:
        low, high = found["spread"][side]
        parts = ", ".join(f"{part} {spent:.3f}" for part, spent in found["cpu_ms_by_process"][side].items())
        said.append(
            f"{side:10}{rates[side] / rates[_BASE]:9.2f}{cpu[_BASE] / cpu[side]:12.2f}{rates[side]:12.0f}"
            f"{f'{low:.0f} .. {high:.0f}':>18}{cpu[side]:9.3f}{found['failures'][side]:8}   {parts}"
        )
    for paced in found["paced"]:
        said += _paced_table(paced)
    return said


def _paced_table(paced: dict[str, Any]) -> list[str]:
    said = [
        f"  open loop at {paced['per_second']:.0f}/s, the middle one of {ROUNDS} rounds by P95",
        f"  {'':10}{'x lower P95':>12}{'P50 ms':>9}{'P95 ms':>9}{'P99 ms':>9}{'longest':>9}{'failed':>8}",
    ]
    base = paced["sides"].get(_BASE)
    for side, each in paced["sides"].items():
        ratio = f"{base['p95Ms'] / max(each['p95Ms'], 1e-3):.2f}" if base else "-"
        said.append(
            f"  {side:10}{ratio:>12}{each['p50Ms']:9.2f}{each['p95Ms']:9.2f}{each['p99Ms']:9.2f}"
            f"{each['longestMs']:9.1f}{each['failures']:8}"
        )
    return said + [f"  {side:10}cannot keep this pace" for side in paced["unable"]]


def _by_memory(found: dict[str, Any]) -> list[str]:
    mix = found["scenarios"]["mix"]["per_second"]
    gib = {name: sum(sizes.values()) / 1024 for name, sizes in found["loaded_mib"].items()}
    each = {name: mix[name] / gib[name] for name in mix}
    said = [f"  {name:10}{each[name] / each[_BASE]:9.2f}{each[name]:12.0f}" for name in each]
    return ["Requests/s of the mix for each GiB of PSS: ratio to flask, figure", *said]


def _turn(sides: Sequence[Side], number: int) -> list[Side]:
    """Another order in each round."""
    start = number % max(len(sides), 1)
    return [*sides[start:], *sides[:start]]


def _parts(windows: Sequence[Window]) -> dict[str, float]:
    names = {name for each in windows for name in each.cpu}
    parts = {name: statistics.median(each.cpu.get(name, 0.0) for each in windows) for name in names}
    return {name: round(spent, 3) for name, spent in sorted(parts.items(), key=lambda part: -part[1])}
