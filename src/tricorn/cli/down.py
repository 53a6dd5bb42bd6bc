"""`tricorn down`."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Annotated

import typer

from tricorn.cli.application import HomeOption, home_of
from tricorn.supervise.errors import SuperviseError

app = typer.Typer()

_LAST_SECONDS = 3.0


@app.command()
def down(
    home: HomeOption = None,
    seconds: Annotated[
        float, typer.Option("--timeout", min=0, help="After this many seconds, stop without patience.")
    ] = 30,
) -> None:
    """Stop what `up` started in this home, in order, and return when all of it is gone. Nothing running is no error."""
    there = home_of(home)
    pid = there.supervisor()
    if pid is None:
        typer.echo(f"nothing runs in {there.path}")
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not _gone(there.supervisor, seconds):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not _gone(there.supervisor, seconds):
            raise SuperviseError(f"process {pid} does not stop", remedy=f"read why in {there.logs}, or: kill -9 {pid}")
    # Its last act is to let go of the home; whoever removes or unmounts that needs it gone altogether.
    _gone(lambda: _alive(pid), _LAST_SECONDS)
    typer.echo("stopped")


def _alive(pid: int) -> bool | None:
    """None when it is gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return True
    return True


def _gone(supervisor: object, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while callable(supervisor) and supervisor() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
