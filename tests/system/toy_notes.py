"""What the toy's notes publish, written into its outbox as the toy would, and what became of it at the tally."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tricorn.events import publish_sync
from tricorn.wire import bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from google.protobuf.message import Message

TALLY = "toy.tally.v1.TallyService"
GROUP = "tally.notes"
ADDED = "toy.notes.v1.NoteAdded"
PATIENCE = 60


def _class() -> Any:
    # The toy's own code is generated where the test runs it: another copy of it may be loaded here.
    file = descriptor_pb2.FileDescriptorProto(name="toy/notes.proto", package="toy.notes.v1", syntax="proto3")
    message = file.message_type.add(name="NoteAdded")
    for number, name in enumerate(("note_id", "author"), 1):
        message.field.add(name=name, number=number, type=9, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(ADDED))


_NoteAdded = _class()


def note_added(author: str, note_id: str = "n") -> Message:
    made: Message = _NoteAdded(note_id=note_id, author=author)
    return made


def is_gos(subject: str, share: int = 5000) -> bool:
    """Whether an aggregate is in a share of what is bound for the tally."""
    return bucket(TALLY, subject) < share


class Notes:
    """The rows of a running toy, read and written as the administrator."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._url = json.loads((home / "state.json").read_text())["databaseUrl"]
        self._connection = psycopg.connect(self._url, autocommit=True, connect_timeout=10)

    def close(self) -> None:
        self._connection.close()

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def publish(self, subject: str, *authors: str) -> None:
        """One event of the aggregate for each author, in one transaction."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for author in authors:
                publish_sync(cursor, note_added(author), subject=subject, schema="notes")
        self.sql("SELECT pg_notify('tricorn_events_notes', '')")

    def taken(self, subjects: Sequence[str]) -> list[tuple[str, int, str]]:
        """The events of aggregates that took effect, in the order in which they did: subject, sequence number, and who took it."""
        return self.sql(
            "SELECT subject, sequence, taken_by FROM tally.entry WHERE subject = ANY(%s) ORDER BY number",
            list(subjects),
        )

    def wait_until_taken(self, events: int, subjects: Sequence[str]) -> list[tuple[str, int, str]]:
        """As `taken`, once so many have."""
        self.wait_until(lambda: len(self.taken(subjects)) >= events)
        return self.taken(subjects)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.02)

    @contextmanager
    def published_meanwhile(self, subjects: Sequence[str]) -> Iterator[list[int]]:
        """Publishes for the aggregates in turn until the block ends; the list says afterwards how many events that were."""
        counted: list[int] = []
        stop = threading.Event()

        def publish() -> None:
            other, number = Notes(self._home), 0
            while not stop.wait(0.01):
                other.publish(subjects[number % len(subjects)], "meanwhile")
                number += 1
            other.close()
            counted.append(number)

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            yield counted
        finally:
            stop.set()
            publisher.join(PATIENCE)

    def kill(self) -> None:
        """Kills the part in Go with SIGKILL, and waits until another one answers in its place."""
        before, address = self._part()
        os.kill(before, signal.SIGKILL)
        self.wait_until(lambda: self._part()[0] not in {0, before} and _answers(address))

    def kill_within_a_delivery(self, subject: str) -> None:
        """Kills the part in Go while an effect of its own, not yet committed, waits for a row."""
        with psycopg.connect(self._url, connect_timeout=10) as holder:
            holder.execute("INSERT INTO tally.tally VALUES ('held', 0) ON CONFLICT DO NOTHING")
            holder.commit()
            holder.execute("SELECT FROM tally.tally WHERE author = 'held' FOR UPDATE")
            self.publish(subject, "free", "held", "free")
            self.wait_until(lambda: bool(self.sql(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'tally' AND wait_event_type = 'Lock'"
            )))  # fmt: skip
            self.kill()

    def _part(self) -> tuple[int, str]:
        """The process of the part in Go, and where it answers."""
        state = json.loads((self._home / "state.json").read_text())
        part = next(each for each in state["processes"] if each["name"] == "tally")
        return int(part["pid"] or 0), str(part["address"])


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as there:
        return there.connect_ex(address.removeprefix("unix:")) == 0
