"""The ledger of a home: what moved when, from where to where, by whom and on which evidence. Only ever added to.

One line of JSON for each entry, on the disk before `append` returns. Each entry carries the SHA-256 of the one before it, so that a line which was
changed, taken out or put in between is found; that the last lines were cut off is not, unless somebody kept the last hash.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from tricorn.prove.errors import ProveError

FILE_NAME = "ledger.jsonl"
_FIRST = "0" * 64


@dataclass(frozen=True)
class Entry:
    """Something that happened to a target.

    Args:
        number: From 1, without gaps.
        time: ISO 8601, UTC.
        event: See `tricorn.prove.cutover` and `tricorn.supervise.guard` for those there are.
        target: ``package.Service`` or ``package.Service/Method``.
        by: Who made it happen: an operator's name, or ``guard``.
        facts: Whatever else is known: shares, evidence, figures, reasons.
        hash: Of everything above and of the entry before.
    """

    number: int
    time: str
    event: str
    target: str
    by: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    previous: str = _FIRST
    hash: str = ""

    def to_json(self) -> dict[str, Any]:
        return {**self._hashed(), "hash": self.hash}

    def digest(self) -> str:
        said = json.dumps(self._hashed(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256(said.encode()).hexdigest()

    def _hashed(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "time": self.time,
            "event": self.event,
            "target": self.target,
            "by": self.by,
            "facts": dict(self.facts),
            "previous": self.previous,
        }


class Ledger:
    """The ledger of a home. Several processes may append; each entry is written by one of them at a time."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE_NAME

    def append(self, event: str, target: str, by: str, **facts: Any) -> Entry:
        """Add an entry; it is on the disk when this returns. Blocks for as long as that takes.

        Raises:
            ProveError: The ledger was tampered with, or cannot be written; nothing was added.
        """
        try:
            descriptor = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_APPEND, 0o600)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            whole = file.read() or b""
            # A line without an end is an entry that nobody was told of: its writer died in the middle.
            kept = whole[: whole.rfind(b"\n") + 1]
            last = _parse(self.path, kept)[-1:]
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = Entry(len(kept.splitlines()) + 1, now, event, target, by, facts, last[0].hash if last else _FIRST)
            entry = Entry(**{**vars(entry), "hash": entry.digest()})
            line = json.dumps(entry.to_json(), ensure_ascii=False).encode() + b"\n"
            try:
                os.ftruncate(file.fileno(), len(kept))
                written = file.write(line)
                os.fsync(file.fileno())
            except OSError as error:
                raise _cannot_write(self.path, error) from error
            if written != len(line):
                raise _cannot_write(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        return entry

    def entries(self, target: str | None = None) -> list[Entry]:
        """What was entered, oldest first; of one target, or of all.

        Raises:
            ProveError: A line is not what was entered.
        """
        try:
            whole = self.path.read_bytes()
        except FileNotFoundError:
            return []
        entries = _parse(self.path, whole[: whole.rfind(b"\n") + 1])
        return [entry for entry in entries if target in {None, entry.target}]


def _parse(path: Path, text: bytes) -> list[Entry]:
    entries: list[Entry] = []
    previous = _FIRST
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = Entry(**json.loads(line))
            sound = (entry.number, entry.previous, entry.hash) == (number, previous, entry.digest())
        except (ValueError, TypeError):
            sound = False
        if not sound:
            raise ProveError(
                f"{path}: line {number} is not what was entered: the ledger was changed from outside",
                remedy=f"move the file away to begin a new one, and keep it: lines 1 to {number - 1} are sound",
            )
        previous = entry.hash
        entries.append(entry)
    return entries


def _cannot_write(path: Path, error: OSError) -> ProveError:
    return ProveError(
        f"nothing can be entered in {path}: {error.strerror}",
        remedy="mend that; without the ledger nothing is moved, though everything can be moved back",
    )
