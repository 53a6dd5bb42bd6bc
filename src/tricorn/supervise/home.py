"""The folder in which one running application keeps its state: one supervisor at a time, told apart by a lock."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from typing import IO, TYPE_CHECKING, Any

from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOCK_PATIENCE = 0.5
_STATE_VERSION = 1
_LEAST_FREE_BYTES = 16 << 20  # the smallest file that PostgreSQL adds to its log


class Home:
    """Paths below the home, its lock and its state file."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.logs = self.path / "logs"
        self._lock_file = self.path / "supervisor.lock"
        self._state_file = self.path / "state.json"
        self._lock: IO[str] | None = None

    def log(self, process: str) -> Path:
        return self.logs / f"{process}.jsonl"

    def make(self) -> None:
        """Make the folders, for their owner only.

        Raises:
            SuperviseError: they cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o711)
            self.logs.mkdir(exist_ok=True, mode=0o700)
            probe = self.path / f".probe-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            raise cannot_write(error, self.path) from error

    @property
    def is_full(self) -> bool:
        """Whether less is left on its disk than a database needs to write anything."""
        try:
            return shutil.disk_usage(self.path).free < _LEAST_FREE_BYTES
        except OSError:
            return False

    def lock(self) -> None:
        """Become the home's supervisor until `unlock` or the end of this process.

        Raises:
            SuperviseError: another one is; the message says which, and where it answers.
        """
        file = self._lock_file.open("a+", encoding="ascii")
        deadline = time.monotonic() + _LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                # Whoever asks for the status holds the lock for an instant.
                if time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                file.close()
                raise self._taken() from None
            break
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._lock = file

    @property
    def is_there(self) -> bool:
        """Whether the folder that was locked is still the one at this path."""
        try:
            return self._lock is not None and os.path.samestat(os.fstat(self._lock.fileno()), self._lock_file.stat())
        except OSError:
            return False

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def supervisor(self) -> int | None:
        """The process id of the supervisor that runs here now, if one does."""
        try:
            with self._lock_file.open(encoding="ascii") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read() or 0) or None
                return None
        except (FileNotFoundError, ValueError):
            return None

    def read_state(self) -> dict[str, Any] | None:
        """The state that the running supervisor wrote last; None when nothing runs here."""
        pid = self.supervisor()
        if pid is None:
            return None
        try:
            state: dict[str, Any] = json.loads(self._state_file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return state if isinstance(state, dict) and state.get("pid") == pid else None

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the state file in one step; whoever reads sees the old or the new one.

        Raises:
            OSError: it cannot be written; the old one stays.
        """
        scratch = self._state_file.with_suffix(f".{os.getpid()}")
        try:
            descriptor = os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"version": _STATE_VERSION, **state}, file, indent=1)
            scratch.replace(self._state_file)
        finally:
            scratch.unlink(missing_ok=True)

    def forget_state(self) -> None:
        with contextlib.suppress(OSError):
            self._state_file.unlink(missing_ok=True)

    def _taken(self) -> SuperviseError:
        state = self.read_state() or {}
        pid = state.get("pid") or self.supervisor() or "unknown"
        where = state.get("url", "it has not said where yet")
        return SuperviseError(
            f"this home is already up: process {pid}, {where} ({self.path})",
            remedy="use that one, stop it with `tricorn down`, or start another with --home DIR --port PORT",
        )


def cannot_write(error: OSError, path: Path) -> SuperviseError:
    """What a failure to write below the home means."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return SuperviseError(
            f"the disk is full: nothing can be written below {path}",
            remedy="free some space (a fresh home takes about 200 MB), or choose another disk with --home DIR",
        )
    return SuperviseError(
        f"the home cannot be used: {path}: {error.strerror}", remedy="mend that, or choose another with --home DIR"
    )
