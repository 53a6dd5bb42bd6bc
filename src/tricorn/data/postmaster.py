"""A running PostgreSQL as its data directory knows it: `postmaster.pid`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PID_FILE = "postmaster.pid"
_STATUS_LINE = 7
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server process of a data directory; `ready` once it takes connections."""

    pid: int
    data_dir: Path
    ready: bool = False

    def stop(
        self, *, wait: Callable[[float], bool], fast_seconds: float = 10.0, immediate_seconds: float = 5.0
    ) -> None:
        """Fast shutdown, then immediate, then the kill; `wait(seconds)` says whether it has ended."""
        for number, seconds in (
            (signal.SIGINT, fast_seconds),
            (signal.SIGQUIT, immediate_seconds),
            (signal.SIGKILL, 5),
        ):
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return
            if wait(seconds):
                return

    def wait_until_gone(self, seconds: float) -> bool:
        """For a server that is not our child."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _serves(self.pid, self.data_dir):
                return True
            time.sleep(_POLL_SECONDS)
        return False


def pid_file_stamp(data_dir: Path) -> int | None:
    """When the file was last written (nanoseconds); none when there is none."""
    try:
        return (data_dir / _PID_FILE).stat().st_mtime_ns
    except OSError:
        return None


def find_postmaster(data_dir: Path) -> Postmaster | None:
    """The server that runs on `data_dir`, whoever started it; none when the file is missing or stale."""
    try:
        lines = (data_dir / _PID_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
        pid = int(lines[0])
    except (OSError, ValueError, IndexError):
        return None
    if pid <= 0 or not _serves(pid, data_dir):
        return None
    ready = len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"
    return Postmaster(pid, data_dir, ready)


def _serves(pid: int, data_dir: Path) -> bool:
    """Whether `pid` is a PostgreSQL on this directory, and not a later process that was given the same number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data_dir.resolve() and not _is_zombie(pid)
        except OSError:
            return False
    command = ["ps", "-o", "command=", "-p", str(pid)]
    listed = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10).stdout  # noqa: S603
    return "postgres" in listed and str(data_dir) in listed


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "Z"
