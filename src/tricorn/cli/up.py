"""`tricorn up`."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tricorn.cli.application import HomeOption, folder, home_of, manifest
from tricorn.cli.console import make_progress
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import cannot_write
from tricorn.supervise.progress import PipeProgress, replay

if TYPE_CHECKING:
    from pathlib import Path

    from tricorn.supervise.home import Home
    from tricorn.supervise.supervisor import Plan

app = typer.Typer()


class Wait(StrEnum):
    """What a detached start waits for."""

    READY = "ready"
    BOUND = "bound"


@app.command()
def up(
    shape: Annotated[
        str | None,
        typer.Option(
            envvar="TRICORN_SHAPE",
            help="Which implementations, in which processes: a shape of tricorn.toml. [default: grow, where there is one]",
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The public port; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on. 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    home: HomeOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once requests are answered; `down` stops it.")
    ] = False,
    wait: Annotated[
        Wait,
        typer.Option(
            help="With --detach: return once requests are answered, or once every native part is bound as well."
        ),
    ] = Wait.READY,
    no_demo_data: Annotated[bool, typer.Option("--no-demo-data", help="Leave an empty database empty.")] = False,
    progress_fd: Annotated[int, typer.Option(hidden=True)] = -1,
) -> int:
    """Start the application: its database, its processes, its public port.

    An empty database is migrated and filled with demonstration data first. Without --detach it runs until Ctrl-C, which
    stops everything in order; a second Ctrl-C is less patient. A process that ends by itself is started again.

    In the shape `grow` Python answers first; native parts are built behind it, checked, and bound if committed evidence
    speaks for them. In the shape `native` nothing is ready before all of them are. What an operator bound stays so.
    """
    there = home_of(home)
    if detach:
        return _detached(there, sys.argv[1:], wait)
    progress = PipeProgress(progress_fd) if progress_fd >= 0 else make_progress(there, follow=True)
    try:
        from tricorn.supervise.planning import default_shape, make_plan

        application = manifest()
        named = shape or default_shape(application)
        plan = make_plan(application, there, shape=named, host=host, port=port, demo=not no_demo_data)
        asyncio.run(_supervise(plan, there, progress))
    except SuperviseError as error:
        progress.failed(error.what, error.remedy, error.log)
        return 1
    except Exception as error:
        from tricorn.cli.main import explain

        said = explain(error)
        if said is None:
            raise
        progress.failed(*said, "")
        return 1
    return 0


async def _supervise(plan: Plan, home: Home, progress: Any) -> None:
    from tricorn.supervise.supervisor import Supervisor

    await Supervisor(plan, home, progress).run()


def _detached(home: Home, words: list[str], wait: Wait) -> int:
    """Start the supervisor in a session of its own, and wait until it answers (and its parts are bound) or gives up."""
    home.make()
    progress = make_progress(home, follow=False)
    reader, writer = os.pipe()
    output = home.logs / "supervisor.out"
    command = [sys.executable, "-P", "-m", "tricorn", *(word for word in words if word != "--detach")]
    try:
        with output.open("wb") as out:
            supervisor = subprocess.Popen(
                [*command, "--progress-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[writer],
                start_new_session=True,
                env={**os.environ, "TRICORN_APP": str(folder())},
            )
    except OSError as error:
        raise cannot_write(error, output) from error
    finally:
        os.close(writer)
    end = "ready" if wait is Wait.READY else "settled"
    said, stay = "", []
    try:
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                said = replay(line, progress)
                if said == "settled":
                    stay = json.loads(line)[1][0]
                if said in {end, "failed"}:
                    break
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        raise
    if said == end and stay:
        progress.failed(
            f"it runs, but not every native part is bound: {stay[0]}",
            "mend that and start it again; `tricorn bind TARGET=auto` has new evidence looked at while it runs",
            "",
        )
        return 1
    if said == end:
        return 0
    if said != "failed":
        progress.failed("the supervisor ended before anything was answered", f"read why in {output}", _tail(output))
    supervisor.wait()
    return 1


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-12:])
