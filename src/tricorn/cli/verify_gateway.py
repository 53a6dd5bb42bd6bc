"""`tricorn verify gateway`: two gateways over one state, and what was found kept as evidence."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from tricorn.host.manifest import Manifest

SAME, DIFFERENT = 0, 1


def verify_gateway(application: Manifest, against: str | None, home: Path, *, as_json: bool) -> int:
    """Builds the native gateway if its sources changed, plays the whole suite to it and to Python's, and keeps what was found.

    Raises:
        SuperviseError: There is none, or it cannot be built.
    """
    from rich.console import Console

    from tricorn.cli.building import built
    from tricorn.conformance.parity.command import play_gateways, report, show
    from tricorn.conformance.parity.suite import DRAWN, SEED
    from tricorn.prove.gateways import gateway_prints, save_gateway_evidence
    from tricorn.supervise.errors import SuperviseError

    edge = application.edge
    if edge is None or against not in {None, edge.language}:
        raise SuperviseError(
            f"tricorn.toml has no native gateway{f' in {against}' if against else ''}",
            remedy="give a part under [natives] gateway = true",
        )
    console = Console(stderr=True)
    name = next(name for name, part in application.natives.items() if part is edge)
    prints = gateway_prints(application)
    built(application, name, home, lambda text: typer.echo(text, err=True))
    found = play_gateways(application, edge.language, home, console, drawn=DRAWN, seed=SEED)
    path = save_gateway_evidence(
        application,
        edge.language,
        prints,
        cases=found.played,
        requests=found.requests,
        known=len(found.known),
        different=len(found.different) + len(found.closed),
    )
    if as_json:
        sys.stdout.write(json.dumps(report(found, edge.language), indent=1) + "\n")
    else:
        show(console, found, edge.language)
        typer.echo(f"evidence: {path}" if path else "no evidence is kept: the sources changed while it ran")
    return SAME if found.passed else DIFFERENT
