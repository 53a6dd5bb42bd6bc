"""`tricorn replay`."""

from __future__ import annotations

import asyncio
import contextlib
import json as json_
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tricorn.cli.application import HomeOption, home_of, manifest
from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tricorn.host.manifest import Manifest
    from tricorn.prove.recording import Recording
    from tricorn.prove.replay import Player, Replayed
    from tricorn.supervise.home import Home
    from tricorn.wire.endpoints import Addresses

app = typer.Typer()

_SAY_SECONDS = 2.0
_INTERRUPTED = 130


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `tricorn record` made.")],
    against: Annotated[
        str,
        typer.Option(
            metavar="IMPLEMENTATION|ADDRESS",
            help="python, rust, ... of the system that runs, or unix:PATH or HOST:PORT. A native part that is built but "
            "does not run is started for it.",
        ),
    ] = "python",
    rate: Annotated[str, typer.Option(metavar="recorded|N|max", help="The pace: N is calls in a second.")] = "recorded",
    sample: Annotated[
        str, typer.Option(metavar="PERCENT", help="Play a share of the calls, always the same.")
    ] = "100%",
    with_effects: Annotated[
        bool, typer.Option("--with-effects", help="Play methods with effects, too; only against another system.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The report, for programs.")] = False,
    home: HomeOption = None,
) -> int:
    """Play a recording against an implementation, and compare what it says now with what was recorded.

    Calls are made when they are due, whether or not earlier ones have been answered. Exits with 1 when an answer differs
    or a call fails.
    """
    from tricorn.cli.shares import share
    from tricorn.prove.recording import Recording
    from tricorn.prove.replay import Pace

    there, application = home_of(home), manifest()
    application.activate()
    recording, pace = Recording.open(file), Pace.of(rate)
    points = share(sample, "--sample")
    return asyncio.run(
        _play(application, there, recording, against, pace=pace, sample=points, effects=with_effects, as_json=json)
    )


async def _play(
    application: Manifest,
    there: Home,
    recording: Recording,
    against: str,
    *,
    pace: object,
    sample: int,
    effects: bool,
    as_json: bool,
) -> int:
    from tricorn.prove.replay import Player
    from tricorn.wire.remote import RemoteChannel

    async with _address(application, there, recording, against, effects=effects) as address:
        channel = RemoteChannel(address)
        player = Player(recording, channel, pace, sample, effects)  # type: ignore[arg-type]
        interrupted = False
        try:
            await player.play(_Progress(recording))
        except asyncio.CancelledError:
            interrupted = True
        finally:
            await channel.close()
    status = _say(recording, player, as_json=as_json)
    return _INTERRUPTED if interrupted else status


def _say(recording: Recording, player: Player, *, as_json: bool) -> int:
    from tricorn.cli.main import door
    from tricorn.prove.report import replay_report, replay_text

    report = {"recording": str(recording.path), "broken": recording.broken, **replay_report(player.report, door())}
    if as_json:
        typer.echo(json_.dumps(report, indent=1))
    else:
        for line in replay_text(report):
            typer.echo(line)
        if recording.broken:
            typer.echo(f"  the recording broke off {recording.broken}; everything before that was played")
    return 1 if player.report.different or player.report.errors else 0


@contextlib.asynccontextmanager
async def _address(
    application: Manifest, there: Home, recording: Recording, against: str, *, effects: bool
) -> AsyncIterator[str]:
    """Where to play it.

    Raises:
        SuperviseError: there is no such implementation, or effects would hit the system that runs.
    """
    contract = recording.header.contract
    running = _running(there)
    if ":" in against:
        ours = {address for each in running.values() for addresses in each.values() for address in addresses}
        if effects and against in ours:
            raise SuperviseError(
                f"{against} is of the system that runs here, which recorded effects would hit again",
                remedy="play them against another system",
            )
        yield against
        return
    if effects:
        raise SuperviseError(
            f"--with-effects needs the address of another system, not {against}",
            remedy="start one of its own with `tricorn serve PROCESS --listen ADDRESS --home DIR`, and name ADDRESS",
        )
    known = running.get(contract, {})
    if against in known:
        yield known[against][0]
        return
    native = application.native_of(contract)
    if native is None or native.language != against:
        choices = sorted({*known, *([native.language] if native else [])})
        raise SuperviseError(
            f"no {against} implementation of {contract} runs in {there.path}",
            remedy=f"choose {' or '.join(choices)}"
            if choices
            else "start the application with `tricorn up`, or give an address",
        )
    from tricorn.prove.candidate import started

    async with started(application, native, there.path) as address:
        yield address


def _running(there: Home) -> Addresses:
    """Addresses by contract and implementation in the home, where anything runs."""
    from tricorn.wire.endpoints import ENDPOINTS_FILE, known_endpoints

    return known_endpoints(there.path / ENDPOINTS_FILE) if there.supervisor() is not None else {}


class _Progress:
    """A line on standard error every two seconds, where somebody looks on."""

    def __init__(self, recording: Recording) -> None:
        self._last = time.monotonic()
        self._name = recording.path.name

    def __call__(self, report: Replayed) -> None:
        now = time.monotonic()
        if now - self._last >= _SAY_SECONDS and sys.stderr.isatty():
            self._last = now
            typer.echo(f"{self._name}: {report.played:,} played, {report.different:,} different", err=True)
