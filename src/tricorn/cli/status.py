"""`tricorn status`."""

from __future__ import annotations

import json as json_
from typing import Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of

app = typer.Typer()

_MEGABYTE = 1024 * 1024
_POINTS = 100


@app.command()
def status(
    json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
    home: HomeOption = None,
) -> int:
    """Say what runs in this home: where it answers, who answers each service, and what each process costs.

    Exits with 1 when nothing runs. `shares` are basis points of the calls; `cpuPercent` is of one core, just now;
    `pssBytes` counts shared pages once over all processes; null where unknown.
    """
    there = home_of(home)
    state = there.read_state()
    if state is None:
        typer.echo(json_.dumps(None) if json else f"nothing runs in {there.path}")
        return 1
    from tricorn.supervise.standing import describe

    said = describe(state, there.path)
    typer.echo(json_.dumps(said, indent=1) if json else _text(said))
    return 0


def _text(said: dict[str, Any]) -> str:
    lines = [f"{said['url']}  {said['phase']}, shape {said['shape']}\n"]
    lines.append(f"{'service':<14} {'by':<8} {'share':>7}  {'process':<10} {'health':<12} place")
    for service in said["services"]:
        share = f"{service['share'] / _POINTS:g} %"
        lines.append(
            f"{service['name']:<14} {service['implementation']:<8} {share:>7}  {service['process']:<10} "
            f"{service['health']:<12} {service['place']}".rstrip()
        )
    lines.append(f"\n{'process':<14} {'pid':>8} {'CPU':>9} {'now':>6} {'RSS':>9} {'PSS':>9} restarts  where")
    lines += [
        f"{process['name']:<14} {process['pid'] or '-':>8} {process['cpuSeconds']:>7.1f} s "
        f"{process['cpuPercent']:>4.0f} % {_memory(process['rssBytes']):>9} {_memory(process['pssBytes']):>9} "
        f"{process['restarts']:>8}  {process['address']}".rstrip()
        for process in said["processes"]
    ]
    if said["troubles"]:
        lines += ["\nwhat does not go as bound:", *said["troubles"]]
    return "\n".join(lines)


def _memory(size: int | None) -> str:
    return f"{size / _MEGABYTE:.0f} MB" if size is not None else "-"
