"""`tricorn record`."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tricorn.host.targets import Target
    from tricorn.supervise.home import Home

app = typer.Typer()

_LOOK_SECONDS = 0.2
_END_SECONDS = 3.0
_BEGIN_SECONDS = 3.0
_MEGA = 1e6


@app.command()
def record(
    target: Annotated[
        str, typer.Argument(help="A contract (`pricing`) or one of its methods (`pricing/PriceBasket`).")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the recording goes. It must not exist.")],
    sample: Annotated[str, typer.Option(metavar="PERCENT", help="Which share of the calls.")] = "100%",
    duration: Annotated[str, typer.Option("--for", metavar="TIME", help="How long: 90s, 10m, 2h.")] = "60s",
    max_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="How large FILE may become, whoever writes for it: 500kB, 64MB. Its header, some 80 kB, is in it.",
        ),
    ] = "64MB",
    home: HomeOption = None,
) -> int:
    """Record the real calls of a contract, requests and answers, from the system that runs.

    Fields that the contract calls secret, and who called, are left out. The file can be read without the application;
    only you can read it. Ctrl-C ends the recording and keeps what there is. Streams are not recorded.
    """
    from tricorn.cli.shares import seconds, share, size
    from tricorn.host.targets import find_target
    from tricorn.supervise.control import ControlClient

    there, application = home_of(home), manifest()
    application.activate()
    found = find_target(application, target)
    points, lasting, most = share(sample, "--sample"), seconds(duration, "--for"), size(max_size, "--max-size")
    methods = _methods(found)
    with _place_of(out):
        client = ControlClient(there)
        begun = client.call(
            "record.start",
            contract=found.contract,
            methods=methods,
            sample=points,
            seconds=lasting,
            most_bytes=most,
        )
        folder = Path(begun["folder"])
        typer.echo(
            f"recording {points / 100:g} % of the calls of {found.short} for {lasting:g} s; Ctrl-C ends it", err=True
        )
        try:
            _wait(there, folder, lasting)
        except KeyboardInterrupt:
            typer.echo("", err=True)
        finally:
            try:
                client.call("record.stop", id=begun["id"])
            except SuperviseError as error:
                typer.echo(f"{error.what}; what was recorded until then is kept", err=True)
        return _keep(folder, out, most)


@contextlib.contextmanager
def _place_of(out: Path) -> Iterator[None]:
    """Holds the file's name while something is recorded for it, so that nothing else takes it; lets go of it when nothing comes of that.

    Raises:
        SuperviseError: it is taken, or cannot be written.
    """
    if not out.absolute().parent.is_dir():
        raise SuperviseError(f"there is no folder {out.absolute().parent}", remedy="make it, or name another file")
    try:
        os.close(os.open(out, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise SuperviseError(f"{out} exists already", remedy="name another file, or remove that one") from None
    except OSError as error:
        raise SuperviseError(f"{out} cannot be written: {error.strerror}", remedy="name another file") from error
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            if not out.stat().st_size:
                out.unlink()


def _wait(there: Home, folder: Path, lasting: float) -> None:
    """Until its time is up, it is as large as it may be, or what is recorded has been stopped.

    Raises:
        SuperviseError: no process began to write.
    """
    from tricorn.prove.orders import FULL

    began = time.monotonic()
    while time.monotonic() - began < lasting:
        time.sleep(_LOOK_SECONDS)
        if (folder / FULL).exists() or there.supervisor() is None:
            return
        if time.monotonic() - began > _BEGIN_SECONDS and not _parts(folder):
            raise SuperviseError("no process began to record", remedy="look with `tricorn status` whether any is up")


def _parts(folder: Path) -> list[Path]:
    from tricorn.prove.orders import PART, WHOLE

    # In this order: one that becomes whole in between is seen as both, and then as what it is.
    found = [*folder.glob(f"*{PART}"), *folder.glob(f"*{WHOLE}")]
    return list({path.stem: path for path in found}.values())


def _keep(folder: Path, out: Path, most_bytes: int) -> int:
    from tricorn.prove.merging import merge
    from tricorn.prove.orders import PART

    until = time.monotonic() + _END_SECONDS
    while list(folder.glob(f"*{PART}")) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    merged = merge(_parts(folder), out, most_bytes=most_bytes)
    shutil.rmtree(folder, ignore_errors=True)
    ended = ", as large as it may be" if merged.full else ""
    typer.echo(f"{out}: {merged.calls:,} calls, {merged.bytes / _MEGA:.2f} MB{ended}")
    if merged.dropped:
        typer.echo(f"  {merged.dropped:,} calls came faster than they could be written and are missing")
    if merged.too_large:
        typer.echo(f"  {merged.too_large:,} calls were too large and are missing")
    for name, times in merged.restarts.items():
        typer.echo(
            f"  {name} was started anew {times} times meanwhile: "
            "its calls before and after are there, those in between are missing"
        )
    for each in merged.broken:
        typer.echo(f"  what one process wrote broke off: {each}")
    return 0


def _methods(target: Target) -> list[str]:
    """The methods that are recorded.

    Raises:
        SuperviseError: they are streams.
    """
    from tricorn.contract import service_policies

    asked = [policy for policy in service_policies(target.contract) if target.method in {None, policy.name}]
    plain = [policy.name for policy in asked if not policy.client_streaming and not policy.server_streaming]
    if not plain:
        raise SuperviseError(f"{target.short} is a stream, which is not recorded", remedy="name another method")
    return plain
