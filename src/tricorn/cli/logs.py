"""`tricorn logs`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import HomeOption, home_of
from tricorn.cli.console import readable
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 65536
_JSON = ".jsonl"
_KINDS = (_JSON, ".log")

app = typer.Typer()


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A process. [default: all]")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="The lines as they were written.")] = False,
    home: HomeOption = None,
) -> None:
    """Show what the processes logged last; it does not matter whether they still run.

    `build-NAME` is what the build of a native part wrote; it is shown only when it is asked for.
    """
    folder = home_of(home).logs
    names = sorted({path.stem for kind in _KINDS for path in folder.glob(f"*{kind}")})
    if name is not None and name not in names:
        raise SuperviseError(
            f"there is no log of {name!r} in {folder}", remedy=f"choose one of: {', '.join(names) or '(none yet)'}"
        )
    tail = Tail(folder, only=name, from_end=True)
    last = [line for path in tail.files() for line in last_lines(path, lines)]
    # JSON lines begin with their time, so that their order as text is their order in time.
    for line in last if name is not None else sorted(last)[-lines:] if lines else []:
        _show(line, raw=json)
    with contextlib.suppress(KeyboardInterrupt):
        while follow:
            for line in tail.new_lines():
                _show(line, raw=json)
            sys.stdout.flush()
            time.sleep(0.2)


def _show(line: str, *, raw: bool) -> None:
    sys.stdout.write((line if raw else readable(line, colour=sys.stdout.isatty())) + "\n")


class Tail:
    """What is appended to the logs of a folder, new files included."""

    def __init__(self, folder: Path, *, only: str | None = None, from_end: bool) -> None:
        self._folder = folder
        self._only = only
        self._offsets: dict[Path, int] = {}
        if from_end:
            self._offsets = {path: path.stat().st_size for path in self.files()}

    def files(self) -> list[Path]:
        if self._only is None:
            return sorted(self._folder.glob(f"*{_JSON}"))
        return [path for kind in _KINDS if (path := self._folder / f"{self._only}{kind}").is_file()]

    def new_lines(self) -> list[str]:
        """The whole lines that came since the last time."""
        found: list[str] = []
        for path in self.files():
            with contextlib.suppress(OSError), path.open("rb") as file:
                offset = self._offsets.get(path, 0)
                if file.seek(0, os.SEEK_END) < offset:
                    offset = 0  # a new file under the old name
                file.seek(offset)
                whole = file.read().rpartition(b"\n")[0]
                if whole:
                    self._offsets[path] = offset + len(whole) + 1
                    found += whole.decode(errors="replace").split("\n")
        return found


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a file, read from its end."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        data = b""
        while position > 0 and data.count(b"\n") <= count:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            data = file.read(step) + data
    return data.decode(errors="replace").splitlines()[-count:] if count else []
