"""The program of a native part: whether what runs is what lies there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Program:
    """The file of a program as it was when this was made. Its content counts: to be written again as it was changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._status = _status(path)
        self._digest = _digest(path)

    def differs_from(self, other: Program) -> bool:
        """Whether it is not the program that another was."""
        return self._digest != other._digest

    @property
    def is_outdated(self) -> bool:
        """Whether another program lies there now. A file that is just being replaced may be missing, and says nothing."""
        now = _status(self._path)
        return now not in {(), self._status} and _digest(self._path) not in {b"", self._digest}


def _status(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""
