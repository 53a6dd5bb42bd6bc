"""What a process says of its calls to others, in a file of the home: which bindings hold here, and what does not go as bound."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from tricorn import telemetry
from tricorn.wire.bindings import REPORTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LEAST_SECONDS = 1.0

_log = telemetry.get_logger("tricorn.host")


class WireReport:
    """``<home>/wire/<process>.json``, for `tricorn status` and for whoever waits until a change holds everywhere."""

    def __init__(self, home: Path, process: str) -> None:
        self._path = home / REPORTS / f"{process}.json"
        self._process = process
        self._said: Mapping[str, Any] | None = None
        self._written_at = -_LEAST_SECONDS

    def write(
        self,
        *,
        generation: int,
        problems: list[str],
        open_breakers: list[str],
        fallbacks: Mapping[tuple[str, str, str], int],
    ) -> None:
        """Replaces the file when there is something new: at once for another generation or a problem, else once a second at most.

        What could not be written (a full disk) is tried again with the next call.
        """
        said = {
            "process": self._process,
            "pid": os.getpid(),
            "generation": generation,
            "problems": problems,
            "openBreakers": open_breakers,
            "fallbacks": [
                {"method": method, "implementation": implementation, "why": why, "calls": calls}
                for (method, implementation, why), calls in sorted(fallbacks.items())
            ],
        }
        if said == self._said:
            return
        before = self._said or {}
        urgent = any(said[name] != before.get(name) for name in ("generation", "problems"))
        now = time.monotonic()
        if not urgent and now - self._written_at < _LEAST_SECONDS:
            return
        self._written_at = now
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            scratch = self._path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps(said, indent=1) + "\n")
            scratch.replace(self._path)
        except OSError as error:
            _log.warning("the report of calls could not be written", file=str(self._path), error=str(error))
        else:
            self._said = said

    def remove(self) -> None:
        """This process says nothing any more."""
        self._path.unlink(missing_ok=True)
