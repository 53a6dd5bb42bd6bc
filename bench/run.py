"""Measures Agora on this machine, in the shape that `tricorn up` starts, and prints what it found. Nothing is judged.

    ./tricorn bench [NAME...] [--seconds N] [--json FILE]

Names: wire, me, product, quote, order, stats, mix, profile by default; pricing, shadow, cutover, verify, compare, edge,
reservations, idle and switches, which build the native parts, when they are named. README.md says what the figures mean.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "src"), str(ROOT / "agora/src"), str(ROOT / "tests/system")]

import compare  # noqa: E402 - found through the lines above
import cutover  # noqa: E402
import edge  # noqa: E402
import gain  # noqa: E402
import idle  # noqa: E402
import machine  # noqa: E402
import measure  # noqa: E402
import pricing  # noqa: E402
import profiling  # noqa: E402
import report  # noqa: E402
import reservations  # noqa: E402
import shadow  # noqa: E402
import switches  # noqa: E402
import verify  # noqa: E402
import wire  # noqa: E402
from beside import ENVIRONMENT  # noqa: E402
from scenarios import Scenarios  # noqa: E402
from shop import Shop  # noqa: E402

from tricorn.host.natives import BUILDS_VARIABLE  # noqa: E402

LOADED = ("me", "product", "quote", "order", "stats", "mix")
NATIVE = ("pricing", "shadow", "cutover", "verify")
SIDES: dict[str, tuple[ModuleType, Callable[[float], dict[str, Any] | None]]] = {
    "compare": (compare, compare.measure),
    "edge": (edge, edge.measure),
    "reservations": (reservations, reservations.measure),
    "idle": (idle, lambda _: idle.measure()),
    "switches": (switches, lambda _: switches.measure()),
}
"""Measured by the Go client, on several shops at once or on the native shape."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="tricorn bench", description="Measure Agora on this machine.")
    parser.add_argument(
        "names", nargs="*", help=f"wire, {', '.join(LOADED)}, profile (all by default), {', '.join((*NATIVE, *SIDES))}"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each run takes (default 8)")
    parser.add_argument("--json", type=Path, help="write what was measured to this file as well")
    asked = parser.parse_args()
    unknown = set(asked.names) - {"wire", "profile", *NATIVE, *LOADED, *SIDES}
    if unknown:
        parser.error(f"nothing is called {', '.join(sorted(unknown))}")
    # What was started is stopped then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    found = _measure(asked.names or ["wire", *LOADED, "profile"], asked.seconds)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")
        print(f"\nwritten to {asked.json}")


def _measure(names: list[str], seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": machine.describe(), "seconds": seconds, "connections": measure.CONNECTIONS}
    report.machine(found["machine"])
    if "wire" in names:
        found["wire"] = wire.measure()
        report.wire(found["wire"])
    wanted = [name for name in LOADED if name in names]
    if wanted:
        found["scenarios"] = {}
        with _shop("--shape", "python") as shop:
            scenarios = Scenarios(shop)
            report.head()
            for name in wanted:
                found["scenarios"][name] = measure.scenario(shop, scenarios.get(name), seconds)
                report.scenario(name, found["scenarios"][name])
            found["memory_mib"] = measure.memory(shop)
        report.memory(found["memory_mib"])
    if "order" in names:
        profile = found["profile_of_orders"] = profiling.profile("order", ENVIRONMENT, seconds)
        found["one_order"] = report.one_order(found["scenarios"]["order"], profile)
    found |= _native(names, seconds)
    for name, (module, measured) in SIDES.items():
        if name in names:
            found[name] = measured(seconds)
            if found[name] is not None:
                print("\n" + "\n".join(module.lines(found[name])), flush=True)
    if "profile" in names:
        found["profile_of_the_mix"] = profiling.profile("mix", ENVIRONMENT, seconds)
        report.profile(found["profile_of_the_mix"])
    return found


def _native(names: list[str], seconds: float) -> dict[str, Any]:
    """What is measured of the engine in Rust."""
    found: dict[str, Any] = {}
    if "pricing" in names:
        found["pricing"] = pricing.measure()
        print("\n" + "\n".join(pricing.lines(found["pricing"])), flush=True)
        with _shop("--shape", "grow") as shop:
            added = found["pricing"]["socket_adds_cpu_us"]
            found["gain"] = gain.measure(shop, Scenarios(shop), added, seconds)
        print("\n" + "\n".join(gain.lines(found["gain"])), flush=True)
    if "shadow" in names:
        with _shop("--shape", "grow") as shop:
            found["shadow"] = shadow.measure(shop, Scenarios(shop).get("quote"), seconds)
        print("\n" + "\n".join(shadow.lines(found["shadow"])))
    if "cutover" in names:
        with _shop("--shape", "grow") as shop:
            found["cutover"] = cutover.measure(shop, Scenarios(shop).get("quote"), seconds)
        print("\n" + "\n".join(cutover.lines(found["cutover"])))
    if "verify" in names:
        found["verify"] = verify.measure()
        print("\n" + "\n".join(verify.lines(found["verify"])))
    return found


@contextlib.contextmanager
def _shop(*arguments: str) -> Iterator[Shop]:
    # What is built already is not built again for a home of the shop's own.
    builds = os.environ.get(BUILDS_VARIABLE, str(ROOT / ".tricorn" / "build"))
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder:
        shop = Shop(Path(folder) / "home", *arguments, environment={**ENVIRONMENT, BUILDS_VARIABLE: builds}).up()
        try:
            yield shop
        finally:
            shop.down()


if __name__ == "__main__":
    main()
