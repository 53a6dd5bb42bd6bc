"""Both shapes of Agora and both rivals in one run, in turns: what they can, what it costs, and how long answers take at the same pace.

Where a bare `net/http` handler can give the same answer it is measured too: what Go's HTTP server does beside this client on
this machine when there is nothing else to do.
"""

import contextlib
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import client
import compare_report
import journey
from beside import Side, Window, all_sides, answer_to, native_parts, window
from plans import Plans

LOADS = ("product", "me", "quote", "order", "mix")
"""What is asked for when nothing else is said; ``stats`` is there too."""
ROUNDS = 3
CONNECTIONS = 32
MOST_OPEN = 128
PACE_SHARE = 0.7
_WARM_UP = 1.5
_READS = ("product", "me")
"""Whose answers a bare handler gives as well."""


def measure(seconds: float, loads: Sequence[str] = LOADS) -> dict[str, Any]:
    """Every side passes the journey first. ``seconds`` is how long each side is loaded in each loop, all rounds together."""
    client.program()
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder, all_sides() as sides:
        checks = {side.name: journey.check(side.url) for side in sides}
        idle = {side.name: side.memory() for side in sides}
        found = {}
        for name in loads:
            plans = {side.known.kid: Plans(side.known) for side in sides}
            files = {side.name: side.plan(name, Path(folder), plans[side.known.kid]) for side in sides}
            with _bare(name, sides, plans, Path(folder)) as bare:
                each = found[name] = _load([*sides, *bare], files, seconds)
            print("\n" + "\n".join(compare_report.table(name, each, ROUNDS, CONNECTIONS)), flush=True)
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
    """For people: what is not in the tables of the loads, and the ratios of all of them."""
    return compare_report.summary(found)


@contextlib.contextmanager
def _bare(name: str, sides: Sequence[Side], plans: Mapping[str, Plans], folder: Path) -> Iterator[list[Side]]:
    """A handler that always writes what the native shape (else the first side) has answered once; none for what is no read."""
    if name not in _READS:
        yield []
        return
    side = next((each for each in sides if each.name == "native"), sides[0])
    like = folder / f"{name}-like.json"
    like.write_text(json.dumps(answer_to(side, plans[side.known.kid].classes(name)[0].requests[0])))
    with client.running("bare", like=like) as bare:
        address = bare["address"]
        yield [Side(compare_report.BARE, f"http://{address}", "", side.known, processes={"bare": bare["pid"]})]


def _load(sides: Sequence[Side], files: dict[str, Path], seconds: float) -> dict[str, Any]:
    known = {side.name: files.get(side.name) or files[sides[0].name] for side in sides}
    for side in sides:
        window(side, known[side.name], callers=CONNECTIONS, seconds=_WARM_UP)
    fast: dict[str, list[Window]] = {side.name: [] for side in sides}
    for number in range(ROUNDS):
        for side in _turn(sides, number):
            each = window(side, known[side.name], callers=CONNECTIONS, seconds=seconds / ROUNDS)
            fast[side.name].append(each)
    rates = {name: statistics.median(each.rate for each in windows) for name, windows in fast.items()}
    shops = [side for side in sides if side.name != compare_report.BARE]
    paces = _paces({side.name: rates[side.name] for side in shops})
    return {
        "per_second": rates,
        "cpu_ms": {name: statistics.median(each.cpu_ms for each in windows) for name, windows in fast.items()},
        "client_ms": {name: statistics.median(each.client_ms for each in windows) for name, windows in fast.items()},
        "cpu_ms_by_process": {name: _parts(windows) for name, windows in fast.items()},
        "spread": {
            name: [min(w.rate for w in windows), max(w.rate for w in windows)] for name, windows in fast.items()
        },
        "failures": {name: sum(each.report["failures"] for each in windows) for name, windows in fast.items()},
        "statuses": {name: _statuses(windows) for name, windows in fast.items()},
        "paced": [_paced(shops, known, rates, pace, seconds) for pace in paces],
    }


def _paces(rates: dict[str, float]) -> list[float]:
    """A share of what the base can; and of what the slowest can, where that is clearly less."""
    base = rates.get(compare_report.BASE, min(rates.values())) * PACE_SHARE
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
            rounds[side.name].append(dict(window(side, files[side.name], **options).report))
    middle = {name: sorted(each, key=lambda one: one["p95Ms"])[len(each) // 2] for name, each in rounds.items()}
    return {
        "per_second": pace,
        "unable": [side.name for side in sides if side not in able],
        "sides": {
            name: {key: report[key] for key in ("p50Ms", "p95Ms", "p99Ms", "longestMs")}
            | {"failures": sum(each["failures"] for each in rounds[name])}
            for name, report in middle.items()
        },
    }


def _turn(sides: Sequence[Side], number: int) -> list[Side]:
    """Another order in each round."""
    start = number % max(len(sides), 1)
    return [*sides[start:], *sides[:start]]


def _parts(windows: Sequence[Window]) -> dict[str, float]:
    names = {name for each in windows for name in each.cpu}
    parts = {name: statistics.median(each.cpu.get(name, 0.0) for each in windows) for name in names}
    return {name: round(spent, 3) for name, spent in sorted(parts.items(), key=lambda part: -part[1])}


def _statuses(windows: Sequence[Window]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in windows:
        for status, count in each.report["statuses"].items():
            found[status] = found.get(status, 0) + count
    return found
