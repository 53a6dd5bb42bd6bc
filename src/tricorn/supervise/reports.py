"""What the processes of a home say of their calls to others: which bindings hold there, and what does not go as bound."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from tricorn.host.targets import short_name
from tricorn.wire.bindings import OVER_THE_CAP, REFERENCE, REPORTS

if TYPE_CHECKING:
    from pathlib import Path

_LOOK_SECONDS = 0.02


def read_reports(home: Path) -> list[dict[str, Any]]:
    """The reports of the processes that are alive, by name."""
    found = []
    for path in sorted((home / REPORTS).glob("*.json")):
        try:
            said = json.loads(path.read_bytes())
            os.kill(int(said["pid"]), 0)
        except PermissionError:
            pass
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.append(said)
    return found


def wait_until_held(home: Path, generation: int, seconds: float) -> list[str]:
    """Waits until bindings of this generation, or later ones, hold in every process; those in which they do not after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        late = [said["process"] for said in read_reports(home) if said["generation"] < generation]
        if not late or time.monotonic() > until:
            return late
        time.sleep(_LOOK_SECONDS)


def troubles(home: Path) -> list[str]:
    """A line for everything that does not go as bound, or did not since a process started, in the words of an operator."""
    lines = []
    for said in read_reports(home):
        name = said["process"]
        lines += [f"{name}: {problem}" for problem in said["problems"]]
        lines += [f"{name}: failed too often and is given a rest: {target}" for target in said["openBreakers"]]
        lines += [f"{name}: {_fallback(each)}" for each in said["fallbacks"]]
    return lines


def _fallback(said: dict[str, Any]) -> str:
    contract, _, method = said["method"].partition("/")
    calls = f"{said['calls']} calls of {short_name(contract)}/{method} since its start"
    if said["why"] == OVER_THE_CAP:
        return f"{calls} were refused, since too many fell back at once"
    why = said["why"].replace("_", " ")
    return f"{calls} were answered by {REFERENCE} instead of {said['implementation']} ({why})"
