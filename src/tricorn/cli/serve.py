"""`tricorn serve`."""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.life import Life, say, say_ready

app = typer.Typer()


@app.command()
def serve(
    process: Annotated[str, typer.Argument(help="A process of tricorn.toml.")],
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Where other processes reach it by gRPC: host:port or unix:/path."),
    ] = None,
    public: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where the gateway answers, for the process that has it.")
    ] = None,
    endpoints: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='Where contracts are: {"version": 1, "endpoints": {"package.Service": {"rust": ["host:port"]}}}; a list '
            "in place of the object means python.",
        ),
    ] = None,
    bindings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Which implementation answers what; looked at again when it changes."),
    ] = None,
    home: HomeOption = None,
    public_fd: Annotated[int, typer.Option(hidden=True)] = -1,
    mounts: Annotated[str | None, typer.Option(hidden=True)] = None,
    ready_fd: Annotated[int, typer.Option(hidden=True)] = -1,
    life_fd: Annotated[int, typer.Option(hidden=True)] = -1,
) -> None:
    """Run one process alone until SIGTERM, as a container would.

    The database is the one that DATABASE_URL names; it must have been migrated (`tricorn db migrate`).
    """
    life = Life(life_fd) if life_fd >= 0 else None
    application = manifest()
    if process not in application.processes:
        raise SuperviseError(
            f"there is no process {process!r}", remedy=f"choose one of: {', '.join(application.processes)}"
        )
    if application.processes[process].native:
        raise SuperviseError(
            f"{process} is a native part, which is a program of its own",
            remedy="let `tricorn up` build and start it, or run it as its --help says",
        )
    import uvloop

    from tricorn import telemetry
    from tricorn.host.settings import Settings
    from tricorn.supervise.port import PublicPort
    from tricorn.supervise.serving import serve as run
    from tricorn.wire import read_endpoints

    # What they need is loaded while the database still starts.
    telemetry.configure_tracing(process)
    application.activate()
    _preload(
        application.processes[process].contexts, {name: part.package for name, part in application.contexts.items()}
    )
    word = life.begin() if life is not None else {}
    needs_database = any(application.contexts[name].database for name in application.processes[process].contexts)
    if needs_database and not os.environ.get("DATABASE_URL"):
        raise SuperviseError(
            "there is no database for this process", remedy="set DATABASE_URL, or let `tricorn up` run everything"
        )
    if endpoints is not None:
        try:
            read_endpoints(endpoints)
        except ValueError as error:
            raise SuperviseError(str(error), remedy="mend the file that --endpoints names") from error
    settings = Settings()
    telemetry.configure_logging(process, level=settings.log_level)
    telemetry.configure_tracing(process)
    there = home_of(home)
    there.make()
    listener = _public_socket(public, public_fd)

    port = None
    if listener is not None:
        tell = partial(_tell, ready_fd)
        opened = word.get("gateway") != "closed"
        port = PublicPort(listener, life, opened, tell, Path(mounts.removeprefix("unix:")) if mounts else None)
    uvloop.run(
        run(
            application,
            process,
            there.path,
            settings=settings,
            public=port,
            listen=listen,
            endpoints=endpoints,
            bindings=bindings,
            on_ready=partial(_ready, ready_fd, more=port is not None),
        ),
    )


def _tell(descriptor: int, line: dict[str, Any]) -> None:
    if descriptor >= 0:
        say(descriptor, **line)


def _ready(descriptor: int, *, more: bool) -> None:
    """Say that requests are answered; the pipe stays open where there is more to say."""
    if descriptor >= 0 and more:
        os.write(descriptor, b"ready\n")
    elif descriptor >= 0:
        say_ready(descriptor)


def _preload(contexts: list[str], packages: dict[str, str]) -> None:
    """Import what the process will need while the database still starts."""
    import importlib

    for context in contexts:
        importlib.import_module(f"{packages[context]}.server")


def _public_socket(public: str | None, descriptor: int) -> socket.socket | None:
    if descriptor >= 0:
        return socket.socket(fileno=descriptor)
    if public is None:
        return None
    from tricorn.supervise.public import listen

    host, _, port = public.rpartition(":")
    if not host or not port.isdecimal():
        raise SuperviseError(f"--public is {public!r}", remedy="write it as HOST:PORT, e.g. 0.0.0.0:8080")
    return listen(host.strip("[]"), int(port))
