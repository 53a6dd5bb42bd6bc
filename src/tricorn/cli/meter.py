"""How far long work has got: a bar on a terminal, a line for each tenth elsewhere. All of it goes to stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType


class Meter:
    """A context manager; `show` may be called as often as one likes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = time.monotonic()
        self._shown: tuple[int, int] = (-1, -1)
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, done: int, total: int, note: str) -> None:
        """``done`` of ``total``, and a few words."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, description=f"{self._what}: {note}")
            return
        tenth = done * 10 // total if total else 0
        if (tenth, total) != self._shown:
            self._shown = (tenth, total)
            seconds = time.monotonic() - self._begun
            sys.stderr.write(f"{seconds:7.1f} s  {self._what}: {done:,} of {total:,}, {note}\n")
            sys.stderr.flush()
