"""`tricorn record`."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
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
    max_size: Annotated[str, typer.Option(metavar="SIZE", help="How large it may become: 500kB, 64MB.")] = "64MB",
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
    if out.exists():
        raise SuperviseError(f"{out} exists already", remedy="name another file, or remove that one")
    if not out.absolute().parent.is_dir():
        raise SuperviseError(f"there is no folder {out.absolute().parent}", remedy="make it, or name another file")
    client = ControlClient(there)
    begun = client.call(
        "record.start",
        contract=found.contract,
        methods=_methods(found),
        sample=points,
        seconds=lasting,
        most_bytes=max(1, most // _processes(there, application)),
    )
    folder = Path(begun["folder"])
    typer.echo(
        f"recording {points / 100:g} % of the calls of {found.short} for {lasting:g} s; Ctrl-C ends it", err=True
    )
    try:
        _wait(folder, lasting)
    except KeyboardInterrupt:
        typer.echo("", err=True)
    finally:
        client.call("record.stop", id=begun["id"])
    return _keep(folder, out)


def _wait(folder: Path, lasting: float) -> None:
    """Until its time is up, or every process has written as much as it may.

    Raises:
        SuperviseError: no process began to write.
    """
    from tricorn.prove.orders import PART, WHOLE

    began = time.monotonic()
    while time.monotonic() - began < lasting:
        time.sleep(_LOOK_SECONDS)
        begun = time.monotonic() - began > _BEGIN_SECONDS
        if not list(folder.glob(f"*{PART}")):
            if list(folder.glob(f"*{WHOLE}")) and begun:
                return
            if begun:
                raise SuperviseError(
                    "no process began to record", remedy="look with `tricorn status` whether any is up"
                )


def _keep(folder: Path, out: Path) -> int:
    from tricorn.prove.merging import merge
    from tricorn.prove.orders import PART, WHOLE

    until = time.monotonic() + _END_SECONDS
    while list(folder.glob(f"*{PART}")) and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    merged = merge([*folder.glob(f"*{WHOLE}"), *folder.glob(f"*{PART}")], out)
    shutil.rmtree(folder, ignore_errors=True)
    ended = ", as large as it may be" if merged.full else ""
    typer.echo(f"{out}: {merged.calls:,} calls, {merged.bytes / _MEGA:.2f} MB{ended}")
    if merged.dropped:
        typer.echo(f"  {merged.dropped:,} calls came faster than they could be written and are missing")
    if merged.too_large:
        typer.echo(f"  {merged.too_large:,} calls were too large and are missing")
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


def _processes(there: Home, application: Manifest) -> int:
    """Of how many processes calls are written: they share the size. Of the native ones the gateway calls others."""
    state = there.read_state() or {}
    names = [str(process["name"]) for process in state.get("processes", [])]
    return max(1, sum(name in application.processes and _calls_others(application, name) for name in names))


def _calls_others(application: Manifest, name: str) -> bool:
    native = application.processes[name].native
    return not native or application.natives[native].gateway
