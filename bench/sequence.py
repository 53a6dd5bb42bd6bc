"""One measurement after the other, each kept as soon as it is there: what ends badly says why and takes nothing of the others with it."""

import json
import subprocess
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import machine

Measure = Callable[[float], dict[str, Any] | None]
Lines = Callable[[dict[str, Any]], list[str]]


def run(wanted: Mapping[str, tuple[Measure, Lines]], seconds: float, kept: Path) -> int:
    """Measures what is wanted, prints it, and writes all of it to ``kept``; how many could not be measured.

    Args:
        wanted: by name, what measures (None: it has said why there is nothing) and what says it to people.
        seconds: how long each side is loaded with each load.
        kept: a file of JSON, made anew.
    """
    found: dict[str, Any] = {"machine": machine.describe(), "seconds": seconds}
    print(machine.line(found["machine"]), flush=True)
    failed = 0
    for name, (measure, lines) in wanted.items():
        began = time.monotonic()
        print(f"\n=== {name}", flush=True)
        try:
            found[name] = measure(seconds)
            if found[name] is not None:
                print("\n" + "\n".join(lines(found[name])), flush=True)
        except Exception as error:  # noqa: BLE001 - said, kept and counted
            traceback.print_exc()
            found[name] = {"notMeasured": _why(error)}
            print(f"NOT MEASURED, {name}: {_why(error)}", flush=True)
            failed += 1
        print(f"({name}: {time.monotonic() - began:.0f} s)", flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found, indent=1) + "\n")
    print(f"\nwritten to {kept}")
    return failed


def _why(error: Exception) -> str:
    said = ""
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr or error.stdout or ""
        said = said.decode() if isinstance(said, bytes) else said
    return said.strip()[-1500:] or str(error) or type(error).__name__
