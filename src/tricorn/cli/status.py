"""`tricorn status`."""

from __future__ import annotations

import json as json_
from typing import Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of

app = typer.Typer()

_MEGABYTE = 1024 * 1024


@app.command()
def status(
    json: Annotated[bool, typer.Option("--json", help="The same, for programs.")] = False,
    home: HomeOption = None,
) -> int:
    """Say what runs in this home: where it answers, each service and each process with its memory.

    Exits with 1 when nothing runs. `pssBytes` counts shared pages once over all processes; null where unknown.
    """
    there = home_of(home)
    state = there.read_state()
    if state is None:
        typer.echo(json_.dumps(None) if json else f"nothing runs in {there.path}")
        return 1
    said = describe(state)
    if json:
        typer.echo(json_.dumps(said, indent=1))
        return 0
    typer.echo(f"{said['url']}  {said['phase']}, shape {said['shape']}\n")
    typer.echo(f"{'service':<14} {'by':<8} {'process':<10} {'where':<12} health")
    for service in said["services"]:
        typer.echo(
            f"{service['name']:<14} {service['implementation']:<8} {service['process']:<10} "
            f"{service['address']:<12} {service['health']}"
        )
    typer.echo(f"\n{'process':<14} {'pid':>8} {'RSS':>9} {'PSS':>9} restarts")
    for process in said["processes"]:
        pss = f"{process['pssBytes'] / _MEGABYTE:.0f} MB" if process["pssBytes"] is not None else "-"
        rss = f"{process['rssBytes'] / _MEGABYTE:.0f} MB"
        typer.echo(f"{process['name']:<14} {process['pid']:>8} {rss:>9} {pss:>9} {process['restarts']:>8}")
    return 0


def describe(state: dict[str, Any]) -> dict[str, Any]:
    """The state file's content with what must be measured: health and memory."""
    from tricorn.supervise.supervisor import get
    from tricorn.supervise.usage import pss_bytes, rss_bytes, tree

    trees = {process["name"]: tree(process["pid"]) for process in state["processes"]}
    # The supervisor is everybody's parent: count it alone.
    trees["supervisor"] = trees.get("supervisor", [])[:1]
    healthy = state["phase"] == "ready" and get(state["url"], "/health/ready")[0] == 200  # noqa: PLR2004
    return {
        "url": state["url"],
        "shape": state["shape"],
        "phase": state["phase"],
        "services": [
            {
                "name": service["name"],
                "contract": service["contract"],
                "implementation": service["implementation"],
                "process": service["process"],
                "address": service.get("address", "in-process"),
                "health": "serving" if healthy and trees.get(service["process"]) else "not serving",
            }
            for service in state["services"]
        ],
        "processes": [
            {
                "name": process["name"],
                "pid": process["pid"],
                "rssBytes": rss_bytes(trees[process["name"]]),
                "pssBytes": pss_bytes(trees[process["name"]]),
                "restarts": process["restarts"],
            }
            for process in state["processes"]
        ],
    }
