"""The longest time without an answer while the gateway changes hands again and again under a load that never repeats a request."""

import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import client
from beside import Side, bind, bound, try_native
from client import Class
from scenarios import get_request

RATE = 500
SWITCHES = 5
"""Each way."""
_BETWEEN = 1.0
_CALLERS = 50
_START = 2.0
_MOST_SECONDS = 60.0
_TARGET = "gateway"


def measure() -> dict[str, Any] | None:
    """On kept-alive connections, then with one for each request; None without a native shape."""
    client.program()
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder, ExitStack() as stack:
        side = try_native(stack)
        if side is None:
            return None
        if bound(side)[_TARGET] == "python":
            print("LEFT OUT, switches: there is no other gateway than that of Python.", flush=True)
            return None
        product = side.known.products[0]
        requests = [get_request("/health/live"), get_request(f"/api/v1/products/{product}")]
        plan = client.write_plan(Path(folder) / "switches.json", [Class("read", 1, requests)])
        return {name: _switching(side, plan, fresh) for name, fresh in (("kept alive", False), ("one each", True))}


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    said = []
    for name, each in found.items():
        said.append(
            f"{each['switches']} switches of the gateway at {RATE} requests/s, connections {name}: longest gap between two answers"
            f" {each['longestGapMs']:.1f} ms ({each['calmGapMs']:.1f} ms without switches), {each['failures']} of {each['requests']}"
            f" failed, longest answer {each['longestMs']:.1f} ms; a switch took {each['switch_seconds']:.2f} s"
        )
    return said


def _switching(side: Side, plan: Path, fresh: bool) -> dict[str, Any]:
    options: dict[str, Any] = {"address": side.address, "plan": plan, "callers": _CALLERS, "rate": RATE, "fresh": fresh}
    calm = client.ask("http", seconds=_START, **options)
    taken: list[float] = []

    def switch() -> None:
        time.sleep(_START)
        for number in range(2 * SWITCHES):
            began = time.monotonic()
            bind(side, _TARGET, "python" if number % 2 == 0 else "go")
            taken.append(time.monotonic() - began)
            time.sleep(_BETWEEN)

    seconds = _START + 2 * SWITCHES * (_BETWEEN + max(_took(side), 0.5)) + _BETWEEN
    switching = threading.Thread(target=switch, daemon=True)
    switching.start()
    report = client.ask("http", seconds=min(seconds, _MOST_SECONDS), **options)
    within = len(taken)
    switching.join()
    return {
        "switches": within,
        "switch_seconds": max(taken, default=0.0),
        "calmGapMs": calm["longestGapMs"],
        **{key: report[key] for key in ("requests", "failures", "statuses", "longestGapMs", "longestMs", "p99Ms")},
    }


def _took(side: Side) -> float:
    """How long a switch there and back takes, for each."""
    began = time.monotonic()
    bind(side, _TARGET, "python")
    bind(side, _TARGET, "go")
    return (time.monotonic() - began) / 2
