"""Measures Agora on this machine and prints what it found, ratios first. Nothing is judged.

    ./tricorn bench [NAME...] [--seconds N | --quick] [--json FILE]

README.md says what the names and the figures mean.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "src"), str(ROOT / "agora/src"), str(ROOT / "tests/system")]

import compare  # noqa: E402 - found through the lines above
import cutover  # noqa: E402
import edge  # noqa: E402
import gain  # noqa: E402
import idle  # noqa: E402
import profiling  # noqa: E402
import reservations  # noqa: E402
import sequence  # noqa: E402
import shadow  # noqa: E402
import switches  # noqa: E402
import verify  # noqa: E402
import wire  # noqa: E402

DEFAULT: dict[str, tuple[sequence.Measure, sequence.Lines]] = {
    "compare": (compare.measure, compare.lines),
    "edge": (edge.measure, edge.lines),
    "reservations": (reservations.measure, reservations.lines),
    "profile": (profiling.measure, profiling.lines),
    "switches": (lambda _: switches.measure(), switches.lines),
    "idle": (lambda _: idle.measure(), idle.lines),
    "wire": (lambda _: wire.measure(), wire.lines),
}
LOADS = ("me", "product", "quote", "order", "stats", "mix")
"""`compare` with these alone."""
NAMED: dict[str, tuple[sequence.Measure, sequence.Lines]] = {
    "pricing": (gain.measure, gain.lines),
    "shadow": (shadow.measure, shadow.lines),
    "cutover": (cutover.measure, cutover.lines),
    "verify": (lambda _: verify.measure(), verify.lines),
}
"""Of pricing's move to Rust."""
SECONDS = 5.0
QUICK_SECONDS = 1.5
_RESULTS = ROOT / ".tricorn" / "bench"


def main() -> None:
    parser = argparse.ArgumentParser(prog="tricorn bench", description="Measure Agora on this machine.")
    names = f"{', '.join(DEFAULT)} (these by default); {', '.join(LOADS)}: compare with these alone; {', '.join(NAMED)}"
    parser.add_argument("names", nargs="*", help=names)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        help=f"how long each side is loaded with each load (default {SECONDS:g})",
    )
    pace.add_argument(
        "--quick",
        dest="seconds",
        action="store_const",
        const=QUICK_SECONDS,
        help="to see that it works, not for figures",
    )
    parser.add_argument("--json", type=Path, help="where to keep what was measured (default: a file in .tricorn/bench)")
    asked = parser.parse_args()
    unknown = set(asked.names) - {*DEFAULT, *LOADS, *NAMED}
    if unknown:
        parser.error(f"nothing is called {', '.join(sorted(unknown))}")
    # What was started is stopped then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    kept = asked.json or _RESULTS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    sys.exit(min(sequence.run(_wanted(asked.names or list(DEFAULT)), asked.seconds, kept), 1))


def _wanted(names: Sequence[str]) -> dict[str, tuple[sequence.Measure, sequence.Lines]]:
    wanted = {name: each for name, each in (DEFAULT | NAMED).items() if name in names}
    loads = [name for name in LOADS if name in names]
    if loads and "compare" not in wanted:
        wanted["compare"] = (lambda seconds: compare.measure(seconds, loads), compare.lines)
    return wanted


if __name__ == "__main__":
    main()
