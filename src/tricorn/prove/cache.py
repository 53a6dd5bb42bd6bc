"""Answers of the reference, kept below ``.tricorn`` under the hashes of its sources and of the request."""

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Self

from tricorn.prove.outcome import ANSWERED, LATE, REFUSED, UNREAD, Outcome
from tricorn.prove.reference import Request

MOST_BYTES = 256 * 1024 * 1024
"""Of all files together; the ones longest not used go first. One that has grown so large takes up nothing more."""

_KINDS = {ANSWERED, REFUSED, UNREAD, LATE}


def request_hash(request: Request) -> bytes:
    """What a request is kept under, whoever asks it being part of it."""
    caller = request.caller
    who = b"" if caller is None else repr((caller.user_id, caller.session_id, sorted(caller.roles))).encode()
    return hashlib.sha256(request.method.encode() + b"\0" + who + b"\0" + request.payload).digest()[:20]


class AnswerCache:
    """A file for each version of contract and reference. A context manager; a file that cannot be read is begun anew."""

    def __init__(self, folder: Path, version: str, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._path = folder / f"{version}.answers"
        self._most_bytes = most_bytes
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._forget_old()
        try:
            self._database = self._opened()
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            self._database = self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            self._database.commit()
            self._database.close()
            self._database = None

    def get(self, requests: Sequence[Request]) -> list[tuple[Outcome, float] | None]:
        """What is known of each, with the seconds that it took when it was computed."""
        if self._database is None:
            return [None] * len(requests)
        with closing(self._database.cursor()) as cursor:
            return [self._one(cursor, request) for request in requests]

    def put(self, requests: Sequence[Request], answers: Sequence[tuple[Outcome, float]]) -> None:
        """Takes up outcomes, unless the file is full."""
        if self._database is None or self._path.stat().st_size >= self._most_bytes:
            return
        rows = [
            (request_hash(request), outcome.kind, outcome.code, outcome.payload, seconds)
            for request, (outcome, seconds) in zip(requests, answers, strict=True)
            if outcome.kind in _KINDS
        ]
        self._database.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", rows)
        self._database.commit()

    @staticmethod
    def _one(cursor: sqlite3.Cursor, request: Request) -> tuple[Outcome, float] | None:
        row = cursor.execute(
            "SELECT kind, code, payload, seconds FROM answers WHERE request = ?", (request_hash(request),)
        ).fetchone()
        return None if row is None else (Outcome(row[0], row[1], row[2]), float(row[3]))

    def _opened(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=10)
        # What is lost with a crash is computed again.
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS answers (request BLOB PRIMARY KEY, kind TEXT, code TEXT, payload BLOB, seconds REAL) WITHOUT ROWID"
        )
        return database

    def _forget_old(self) -> None:
        files = sorted(
            (path for path in self._folder.glob("*.answers") if path != self._path),
            key=lambda path: path.stat().st_mtime,
        )
        size = sum(path.stat().st_size for path in files)
        while files and size > self._most_bytes // 2:
            oldest = files.pop(0)
            size -= oldest.stat().st_size
            oldest.unlink(missing_ok=True)
