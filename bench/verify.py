"""How fast `tricorn verify` compares: the same small requests twice, so that all answers of the reference are known the second time."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET = "pricing/PriceProducts"
INPUTS = 30_000
SECONDS = 1800
EVIDENCE = ROOT / "agora/evidence/pricing.rust.json"


def measure() -> dict[str, Any]:
    """Comparisons a second with all that the reference computes, and besides it."""
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as home:
        first, second = (_verify(home) for _ in range(2))
    return {
        "target": TARGET,
        "inputs": INPUTS,
        "different": sum(second["different"].values()),
        "per_second": first["perSecond"],
        "reference_seconds": first["referenceSeconds"],
        "per_second_besides_the_reference": second["perSecondBesidesReference"],
        "mutants": _mutants(),
    }


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    return [
        f"verify {found['target']}: {found['inputs']:,} small requests, {found['different']} differ",
        f"  {found['per_second']:,} comparisons/s; the reference computed for {found['reference_seconds']:.1f} s",
        f"  {found['per_second_besides_the_reference']:,} comparisons/s besides the reference's own time",
        f"  mutants killed, says the kept evidence: {_killed(found['mutants'])}",
    ]


def _killed(mutants: dict[str, int]) -> str:
    share = mutants["killed"] / max(1, mutants["planted"] - mutants["equivalent"])
    sample = f"{mutants['killed']} of {mutants['planted']} ({share:.0%}), drawn from {mutants['of']}"
    return f"{sample}; {mutants['equivalent']} are claimed equivalent"


def _mutants() -> dict[str, int]:
    """What the kept evidence says of all of pricing: planting them takes minutes, so it is not repeated here."""
    kept = json.loads(EVIDENCE.read_text())["mutants"]
    return {each: kept[each] for each in ("killed", "planted", "equivalent", "of")}


def _verify(home: str) -> dict[str, Any]:
    command = [
        str(ROOT / "tricorn"),
        "verify",
        TARGET,
        "--inputs",
        str(INPUTS),
        "--mutants",
        "0",
        "--json",
        "--home",
        home,
    ]
    # What is built already is not built again for a home of our own.
    builds = os.environ.get("TRICORN_BUILD_DIR", str(ROOT / ".tricorn" / "build"))
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=False,
        env={**os.environ, "TRICORN_BUILD_DIR": builds},
    )
    if not done.stdout.startswith("{"):
        raise RuntimeError("verify did not come to an end; what it said is above")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
