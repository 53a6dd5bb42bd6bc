"""``tricorn conformance``."""

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from tricorn.conformance.cases import Case, CaseError, load_cases
from tricorn.conformance.gaps import Gap, load_gaps
from tricorn.conformance.runner import AtAddress, InProcess, Outcome, OverSocket, Target, play, unreached
from tricorn.data import EmbeddedPostgres
from tricorn.host import Manifest, find_manifest, load_manifest
from tricorn.telemetry import configure_logging

app = typer.Typer(add_completion=False)
_FOLDER = "conformance"


@app.command()
def conformance(
    contexts: Annotated[list[str] | None, typer.Argument(help="Contexts or contracts; all by default.")] = None,
    against: Annotated[
        str,
        typer.Option(
            help="python (in this process), python-grpc (behind a socket), or a gRPC address (cases without state)."
        ),
    ] = "python",
    application: Annotated[Path, typer.Option("--app", help="The application's folder.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Play the conformance cases against an implementation.

    Exit status: 0 when every case is as expected, 1 when one is not, 2 when a case file is wrong.
    """
    console = Console(stderr=as_json)
    configure_logging("conformance", level="critical")  # what a case provokes is in its outcome
    try:
        manifest = load_manifest(find_manifest(application.resolve()))
        manifest.activate()
        cases = load_cases(manifest, manifest.root / _FOLDER, contexts or ())
        gaps = load_gaps(manifest.root / _FOLDER / "known_gaps.toml")
    except CaseError as error:
        console.print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from error
    outcomes = asyncio.run(_play_all(manifest, cases, gaps, against, console))
    stale = [gap for gap in gaps if not any(case.id == gap.case for case in cases)] if not contexts else []
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if as_json:
        typer.echo(json.dumps(_report(outcomes, against), indent=1))
    else:
        _print(console, manifest, cases, outcomes, stale, against)
    raise typer.Exit(1 if failed or stale else 0)


async def _play_all(
    manifest: Manifest, cases: Sequence[Case], gaps: Sequence[Gap], against: str, console: Console
) -> list[Outcome]:
    if against not in {"python", "python-grpc"}:
        cases = [case for case in cases if not case.state]
        return await _play_each(cases, gaps, AtAddress(against), console)
    folder = Path(tempfile.mkdtemp(prefix="tricorn-conformance-"))
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    await asyncio.to_thread(server.start)
    try:
        kind = InProcess if against == "python" else OverSocket
        return await _play_each(cases, gaps, kind(server, manifest.root), console)
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


async def _play_each(cases: Sequence[Case], gaps: Sequence[Gap], target: Target, console: Console) -> list[Outcome]:
    outcomes = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"cases against {target.name}", total=len(cases))
        for case in cases:
            outcomes.append(await play(case, target, gaps))
            progress.advance(task)
    return outcomes


def _print(  # noqa: PLR0917
    console: Console,
    manifest: Manifest,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    stale: Sequence[Gap],
    against: str,
) -> None:
    totals = Counter(outcome.case.policy.service for outcome in outcomes)
    good = Counter(outcome.case.policy.service for outcome in outcomes if outcome.passed)
    for service in sorted(totals):
        missing = unreached(cases, [service])
        note = f"   no case for {', '.join(name.rpartition('/')[2] for name in missing)}" if missing else ""
        console.print(f"{service:45} {good[service]:4}/{totals[service]} as expected{note}", highlight=False)
    for outcome in outcomes:
        if outcome.gap is not None and outcome.passed:
            console.print(f"known gap: {outcome.case.id}: {outcome.gap.reason}", highlight=False)
        elif not outcome.passed:
            console.print(f"[red]not as expected:[/] {outcome.case.id}", highlight=False)
            found = outcome.findings or ["it passes now: strike it out of known_gaps.toml"]
            for finding in found:
                console.print(f"    {finding}", highlight=False, markup=False)
    for gap in stale:
        console.print(f"[red]known_gaps.toml names a case that is not there:[/] {gap.case}", highlight=False)
    passed = sum(outcome.passed for outcome in outcomes)
    console.print(f"{passed}/{len(outcomes)} cases as expected against {against} ({manifest.name})", highlight=False)


def _report(outcomes: Sequence[Outcome], against: str) -> dict[str, Any]:
    return {
        "against": against,
        "cases": len(outcomes),
        "as_expected": sum(outcome.passed for outcome in outcomes),
        "failures": [
            {"case": outcome.case.id, "findings": list(outcome.findings)} for outcome in outcomes if not outcome.passed
        ],
    }
