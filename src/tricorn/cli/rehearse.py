"""`tricorn rehearse`."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import HomeOption, folder, home_of, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
    from tricorn.supervise.home import Home

app = typer.Typer()


@app.command()
def rehearse(
    target: Annotated[
        str, typer.Argument(help="A contract (`pricing`) or one of its methods (`pricing/PriceBasket`).")
    ],
    to: Annotated[str | None, typer.Option(help="The implementation. [default: the one that tricorn.toml has]")] = None,
    home: HomeOption = None,
) -> None:
    """Rehearse the way back: move every call to the native implementation and back to Python, under a small load.

    It is done in the running system, whose own calls move along for a moment; when nothing runs, in a home of its own.
    What was bound before is bound again. It needs fresh evidence (`tricorn verify`); a cutover asks for a rehearsal with the same contract,
    program and evidence.
    """
    from tricorn.host.targets import find_target
    from tricorn.prove.permission import check_evidence, check_native
    from tricorn.prove.rehearsal import save_rehearsal
    from tricorn.supervise.control import ControlClient
    from tricorn.supervise.rehearsing import Where
    from tricorn.supervise.rehearsing import rehearse as rehearse_in

    application = manifest()
    application.activate()
    found = find_target(application, target)
    native = application.native_of(found.contract)
    language = to or (native.language if native is not None else "rust")
    name = check_native(application, found, language)
    check_evidence(application, found, language)
    there = home_of(home)
    alone = there.read_state() is None
    with _running(application, there, name) if alone else contextlib.nullcontext(there) as runs:
        where = Where(ControlClient(runs), runs.path, there.path, getpass.getuser(), alone)
        done = asyncio.run(rehearse_in(where, application, found, language))
    save_rehearsal(there.path, done)
    typer.echo(
        f"{found.short} -> {language} in {done.move:.2f} s and back in {done.back:.2f} s; "
        f"{done.failed} of {done.calls} calls failed"
    )
    if done.failed:
        raise SuperviseError(
            f"a rehearsal with failed calls does not count ({found.short})",
            remedy="`tricorn logs` says why they failed; mend that, and rehearse again",
        )


@contextlib.contextmanager
def _running(application: Manifest, home: Home, native: str) -> Iterator[Home]:
    """The application in a home of its own, with the builds of `home`; gone when the block ends."""
    from tricorn.host.natives import BUILDS_VARIABLE
    from tricorn.supervise.home import Home

    with tempfile.TemporaryDirectory(prefix="tricorn-rehearsal-") as scratch:
        runs = Home(Path(scratch) / "home")
        builds = os.environ.get(BUILDS_VARIABLE) or str(home.path / "build")
        environment = {**os.environ, BUILDS_VARIABLE: builds, "TRICORN_APP": str(folder())}
        base = [sys.executable, "-P", "-m", "tricorn"]
        words = ["--shape", _shape(application, native), "--port", "0", "--detach", "--wait", "bound", "--no-demo-data"]
        typer.echo("nothing runs here: starting the application in a home of its own")
        # It says itself which parts stay in Python and why; whether the one in question is there is asked afterwards.
        subprocess.run([*base, "up", "--home", str(runs.path), *words], env=environment, check=False)
        try:
            if runs.read_state() is None:
                raise SuperviseError(
                    "the application does not start, so nothing can be rehearsed",
                    remedy=f"see above, or start it with `tricorn up --home {home.path}`",
                )
            yield runs
        finally:
            subprocess.run(
                [*base, "down", "--home", str(runs.path)], env=environment, check=False, stdout=subprocess.DEVNULL
            )


def _shape(application: Manifest, native: str) -> str:
    """A shape with the native part, by preference one that starts without evidence, too.

    Raises:
        SuperviseError: there is none.
    """
    shapes = {
        name: shape
        for name, shape in application.shapes.items()
        if any(application.processes[process].native == native for process in shape.processes)
    }
    if not shapes:
        raise SuperviseError(
            f"no shape of tricorn.toml has a process with {native}",
            remedy="add one under [shapes], for example `native`",
        )
    return next((name for name, shape in shapes.items() if shape.grows), next(iter(shapes)))
