"""How a start looks: rich on a terminal, plain lines elsewhere; and how a line of JSON log reads."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.progress import Progress as RichBar

    from tricorn.supervise.home import Home
    from tricorn.supervise.progress import Progress

_LEVELS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_SHOWN_FIRST = ("time", "level", "event", "logger", "process", "exception")
_HIDDEN = ("span_id",)


def make_progress(home: Home, *, follow: bool) -> Progress:
    """What shows a start here; with `follow` it goes on showing the logs once the start is done."""
    if sys.stderr.isatty():
        return TerminalProgress(home, follow=follow)
    return PlainProgress(home, follow=follow)


class PlainProgress:
    """One line for each thing that happens."""

    def __init__(self, home: Home, *, follow: bool) -> None:
        self._home = home
        self._follow = follow
        self._begun = time.monotonic()
        self._shown = ("", -1)

    def stage(self, text: str) -> None:
        self._line(f"{time.monotonic() - self._begun:5.1f} s  {text}")

    def step(self, text: str, done: int, total: int) -> None:
        tenth = done * 10 // total if total else 0
        if (text, tenth) != self._shown:
            self._shown = (text, tenth)
            self.stage(f"{text}: {done} of {total}" if total else text)

    def ready(self, state: Mapping[str, Any]) -> None:
        self.stage("ready")
        sys.stdout.write(summary(state, detached=not self._follow))
        sys.stdout.flush()
        if self._follow:
            follow_logs(self._home)

    def settled(self, stay: Sequence[str]) -> None:
        """Each line of it was a note already."""

    def note(self, text: str) -> None:
        self.stage(text)

    def failed(self, what: str, remedy: str, log: str) -> None:
        tail = "".join(f"  | {readable(line, colour=sys.stderr.isatty())}\n" for line in log.splitlines())
        self._line(f"error: {what}\n  -> {remedy}\n{tail}".rstrip())

    def _line(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


class TerminalProgress(PlainProgress):
    """A bar that stays in its place while the start goes on."""

    def __init__(self, home: Home, *, follow: bool) -> None:
        super().__init__(home, follow=follow)
        self._bar: RichBar | None = None
        self._task: Any = None

    def stage(self, text: str) -> None:
        self._show(text, None, None)

    def step(self, text: str, done: int, total: int) -> None:
        self._show(text, done, total)

    def ready(self, state: Mapping[str, Any]) -> None:
        self._end()
        sys.stdout.write(summary(state, detached=not self._follow))
        sys.stdout.flush()
        if self._follow:
            follow_logs(self._home)

    def note(self, text: str) -> None:
        self._line(text)

    def failed(self, what: str, remedy: str, log: str) -> None:
        self._end()
        super().failed(what, remedy, log)

    def _show(self, text: str, done: int | None, total: int | None) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(text, total=None)
        self._bar.update(self._task, description=text, completed=done or 0, total=total)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def summary(state: Mapping[str, Any], *, detached: bool) -> str:
    """What `up` says when it is done."""
    from tricorn.cli.main import door

    url = state["url"]
    end = f"`{door()} down` stops it" if detached else "Ctrl-C stops it"
    lines = [f"\n  {url}   answers ({end})\n  {url}/docs   what it can do\n"]
    lines += [f"  {line}\n" for line in str(state.get("note", "")).splitlines()]
    return "".join(lines) + "\n"


def follow_logs(home: Home) -> None:
    """Show from now on, in the background, what the processes log."""
    from tricorn.cli.logs import Tail

    tail = Tail(home.logs, from_end=True)

    def run() -> None:
        while True:
            for line in tail.new_lines():
                sys.stdout.write(readable(line, colour=sys.stdout.isatty()) + "\n")
            sys.stdout.flush()
            time.sleep(0.2)

    threading.Thread(target=run, name="logs", daemon=True).start()


def readable(line: str, *, colour: bool) -> str:
    """A line of JSON log as people read it; anything else as it is."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    if not isinstance(fields, dict) or "event" not in fields:
        return line

    def paint(text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if colour else text

    level = str(fields.get("level", ""))
    rest = [
        f"{paint(key, '36')}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for key, value in fields.items()
        if key not in _SHOWN_FIRST and key not in _HIDDEN
    ]
    parts = [
        paint(str(fields.get("time", ""))[11:23], "2"),
        paint(f"{level:<7}", _LEVELS.get(level, "0")),
        paint(str(fields.get("process", "")), "2"),
        paint(str(fields["event"]), "1"),
        *rest,
    ]
    text = " ".join(part for part in parts if part)
    exception = fields.get("exception")
    return text + ("\n    " + str(exception).replace("\n", "\n    ") if exception else "")
