"""What ``tricorn conformance gateway`` does and says."""

import asyncio
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tricorn.conformance.parity.suite import Outcome, load_suite, play_suite
from tricorn.host import Manifest

_MOST_SHOWN = 100


def play_gateways(
    manifest: Manifest, against: str, home: Path, console: Console, *, drawn: int, seed: int, only: str = "*"
) -> Outcome:
    """Plays the suite, with progress on a terminal.

    Raises:
        CaseError: There is no such gateway, or a case is wrong.
        StartError: A gateway did not start.
    """
    suite = load_suite(manifest, drawn=drawn, seed=seed)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"requests to python and {against}", total=len(suite.cases))
        return asyncio.run(
            play_suite(manifest, suite, against, home, advance=lambda: progress.advance(task), only=only)
        )


def show(console: Console, outcome: Outcome, against: str) -> None:
    """Prints what was found."""
    for gap, finding in outcome.known:
        console.print(f"known gap: {finding.case.id}: {gap.reason}", highlight=False, markup=False)
    for finding in outcome.different[:_MOST_SHOWN]:
        console.print("[red]different:[/]", end=" ")
        console.print(finding.case.id, highlight=False, markup=False, soft_wrap=True)
        for difference in finding.differences:
            console.print(f"    {difference}", highlight=False, markup=False, soft_wrap=True)
    if len(outcome.different) > _MOST_SHOWN:
        console.print(f"... and {len(outcome.different) - _MOST_SHOWN} more", highlight=False)
    for closed in outcome.closed:
        console.print("[red]strike it out of known_gaps.toml:[/]", end=" ")
        console.print(closed, highlight=False, markup=False, soft_wrap=True)
    same = outcome.played - len(outcome.different) - len(outcome.known)
    console.print(
        f"{same}/{outcome.played} cases ({outcome.requests} requests) the same in python and {against}", highlight=False
    )


def report(outcome: Outcome, against: str) -> dict[str, Any]:
    """The outcome as JSON."""
    return {
        "against": against,
        "cases": outcome.played,
        "requests": outcome.requests,
        "known_gaps": len(outcome.known),
        "failures": [{"case": finding.case.id, "findings": list(finding.differences)} for finding in outcome.different],
        "closed_gaps": list(outcome.closed),
    }
