"""What a start tells whoever waits for it. How it looks is the CLI's business."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Progress(Protocol):
    """Hears how a start goes on."""

    def stage(self, text: str) -> None:
        """Something began that takes a moment."""

    def step(self, text: str, done: int, total: int) -> None:
        """`done` of `total` parts of something long are there."""

    def ready(self, state: Mapping[str, Any]) -> None:
        """Requests are answered; `state` is what the state file says."""

    def settled(self, stay: Sequence[str]) -> None:
        """Every native part is bound, but for those that `stay` in Python: a line for each that says why."""

    def note(self, text: str) -> None:
        """Something happened that the operator should know."""

    def failed(self, what: str, remedy: str, log: str) -> None:
        """It did not work, or works no longer."""


class PipeProgress:
    """Passes everything on to another process, as JSON lines; `replay` is the other end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def stage(self, text: str) -> None:
        self._send("stage", text)

    def step(self, text: str, done: int, total: int) -> None:
        self._send("step", text, done, total)

    def ready(self, state: Mapping[str, Any]) -> None:
        self._send("ready", dict(state))

    def settled(self, stay: Sequence[str]) -> None:
        self._send("settled", list(stay))
        self._close()

    def note(self, text: str) -> None:
        self._send("note", text)

    def failed(self, what: str, remedy: str, log: str) -> None:
        self._send("failed", what, remedy, log)

    def _send(self, method: str, *arguments: Any) -> None:
        if self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, json.dumps([method, arguments]).encode() + b"\n")
        except OSError:
            self._close()  # whoever waited has gone

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


def replay(line: str | bytes, progress: Progress) -> str:
    """Tell `progress` what a `PipeProgress` wrote as one line; the name of what it was."""
    method, arguments = json.loads(line)
    if method in {"stage", "step", "ready", "settled", "note", "failed"}:
        getattr(progress, method)(*arguments)
    return str(method)
