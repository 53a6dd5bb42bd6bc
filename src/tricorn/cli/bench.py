"""`tricorn bench`."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from tricorn.cli.application import folder
from tricorn.supervise.errors import SuperviseError

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def bench(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="What to measure. [default: all]")
    ] = None,
) -> int:
    """Measure, and print what was measured with the machine it was measured on. Nothing is judged.

    Runs `bench/run.py` of this repository; its own options, such as --json FILE, go to it.
    """
    program = folder() / "bench" / "run.py"
    if not program.exists():
        raise SuperviseError(f"there is nothing to measure: {program} is missing", remedy="run it in the repository")
    return subprocess.run([sys.executable, str(program), *(names or []), *context.args], check=False).returncode
