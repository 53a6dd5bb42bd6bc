"""`tricorn up`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tricorn.cli.application import HomeOption, folder, home_of, manifest
from tricorn.cli.console import make_progress
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import cannot_write
from tricorn.supervise.progress import PipeProgress, replay

if TYPE_CHECKING:
    from pathlib import Path

    from tricorn.host.manifest import Manifest
    from tricorn.supervise.home import Home
    from tricorn.supervise.supervisor import Plan

app = typer.Typer()


@app.command()
def up(
    shape: Annotated[
        str, typer.Option(help="Which implementations, in which processes: a shape of tricorn.toml.")
    ] = "python",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The public port; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="The address to listen on. 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    home: HomeOption = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once requests are answered; `down` stops it.")
    ] = False,
    no_demo_data: Annotated[bool, typer.Option("--no-demo-data", help="Leave an empty database empty.")] = False,
    progress_fd: Annotated[int, typer.Option(hidden=True)] = -1,
) -> int:
    """Start the application: its database, its processes, its public port.

    An empty database is migrated and filled with demonstration data first. Without --detach it runs until Ctrl-C, which
    stops everything in order; a second Ctrl-C is less patient. A process that ends by itself is started again.
    """
    there = home_of(home)
    if detach:
        return _detached(there, sys.argv[1:])
    progress = PipeProgress(progress_fd) if progress_fd >= 0 else make_progress(there, follow=True)
    try:
        plan = make_plan(manifest(), there, shape=shape, host=host, port=port, demo=not no_demo_data)
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


def make_plan(manifest: Manifest, home: Home, *, shape: str, host: str, port: int, demo: bool) -> Plan:
    """What the supervisor runs for a shape of `tricorn.toml`.

    Raises:
        SuperviseError: there is no such shape.
    """
    from tricorn.data.server import server_for
    from tricorn.supervise.child import ProcessPlan
    from tricorn.supervise.supervisor import Plan

    if shape not in manifest.shapes:
        raise SuperviseError(f"there is no shape {shape!r}", remedy=f"choose one of: {', '.join(manifest.shapes)}")
    base = [sys.executable, "-P", "-m", "tricorn", "--app", str(manifest.root)]
    names = manifest.shapes[shape].processes
    processes = tuple(
        ProcessPlan(name, (*base, "serve", name, "--home", str(home.path)), gateway=manifest.processes[name].gateway)
        for name in names
    )
    flags = [] if demo else ["--no-demo-data"]
    url = os.environ.get("DATABASE_URL")
    return Plan(
        shape=shape,
        host=host,
        port=port,
        processes=processes,
        prepare=ProcessPlan("prepare", (*base, "prepare", "--home", str(home.path), *flags)),
        store=None if url else server_for(None, state_dir=home.path),
        database=manifest.name,
        ready_paths=("/health/ready", *([manifest.demo.ready] if manifest.demo and demo and _development() else [])),
        note=manifest.demo.note if manifest.demo and demo and _development() else "",
        services=tuple(
            {"name": short_name(contract), "contract": contract, "implementation": "python", "process": process}
            for process in names
            for context in manifest.processes[process].contexts
            for contract in manifest.contexts[context].contracts
        ),
    )


def _development() -> bool:
    return os.environ.get("TRICORN_ENVIRONMENT", "development") == "development"


def short_name(contract: str) -> str:
    """The name of a contract in commands: "agora.pricing.v1.PromotionsService" is "promotions"."""
    return contract.rpartition(".")[2].removesuffix("Service").lower()


def _detached(home: Home, words: list[str]) -> int:
    """Start the supervisor in a session of its own, and wait until it answers or gives up."""
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
    said = ""
    try:
        with os.fdopen(reader, "rb") as lines:
            for line in lines:
                said = replay(line, progress)
                if said in {"ready", "failed"}:
                    break
    except KeyboardInterrupt:
        supervisor.terminate()
        supervisor.wait()
        raise
    if said == "ready":
        return 0
    if said != "failed":
        progress.failed("the supervisor ended before anything was answered", f"read why in {output}", _tail(output))
    supervisor.wait()
    return 1


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-12:])
