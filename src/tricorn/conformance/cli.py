"""``tricorn conformance``."""

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from tricorn.conformance.cases import Case, CaseError, load_cases
from tricorn.conformance.gaps import Gap, load_gaps
from tricorn.conformance.parity import suite
from tricorn.conformance.parity.command import play_gateways, report, show
from tricorn.conformance.runner import Outcome, play, unreached
from tricorn.conformance.started import StartError
from tricorn.conformance.targets import AsNative, AsProcess, AtAddress, InProcess, OverSocket, Target, process_for
from tricorn.data import EmbeddedPostgres
from tricorn.host import Manifest, find_manifest, load_manifest
from tricorn.host.natives import native_binary
from tricorn.telemetry import configure_logging

app = typer.Typer(add_completion=False)
_FOLDER = "conformance"
_PYTHON = ("python", "python-grpc", "process")


@app.command()
def conformance(  # noqa: PLR0917 - Typer passes options by name
    contexts: Annotated[
        list[str] | None,
        typer.Argument(help="Contexts or contracts, all by default; or `gateway`: two gateways, request by request."),
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="python (in this process), python-grpc (behind a socket), process (started for the cases), a language "
            "of native parts (started likewise; cases without rows), or a gRPC address (cases without state)."
        ),
    ] = "python",
    home: Annotated[
        Path | None,
        typer.Option(help="Below which native parts are built. [default: .tricorn]", envvar="TRICORN_HOME"),
    ] = None,
    application: Annotated[Path, typer.Option("--app", help="The application's folder.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    drawn: Annotated[int, typer.Option(help="Of `gateway`: requests drawn from the contracts.")] = suite.DRAWN,
    seed: Annotated[int, typer.Option(help="Of those: another seed draws others.")] = suite.SEED,
    only: Annotated[str, typer.Option(help="Of `gateway`: a pattern of the cases' names.")] = "*",
) -> None:
    """Play the conformance cases against an implementation.

    `gateway` sends the requests of `conformance/gateway`, and others that are drawn from the contracts, to the Python gateway and to
    another one (a second one in Python, or a language of native parts) over the same rows, and compares what both answer. `tricorn
    verify gateway` does so and keeps the outcome as evidence.

    Exit status: 0 when every case is as expected, 1 when one is not, 2 when a case file is wrong or there is no such
    implementation.
    """
    console = Console(stderr=as_json)
    there = home or application.resolve() / ".tricorn"
    configure_logging("conformance", level="critical")  # what a case provokes is in its outcome
    try:
        manifest = load_manifest(find_manifest(application.resolve()))
        manifest.activate()
        if contexts == [suite.TARGET]:
            parity = play_gateways(manifest, against, there, console, drawn=drawn, seed=seed, only=only)
            if as_json:
                typer.echo(json.dumps(report(parity, against), indent=1))
            else:
                show(console, parity, against)
            raise typer.Exit(0 if parity.passed else 1)
        cases = load_cases(manifest, manifest.root / _FOLDER, contexts or ())
        gaps = load_gaps(manifest.root / _FOLDER / "known_gaps.toml")
        gaps = [gap for gap in gaps if not gap.case.startswith(f"{suite.TARGET}/")]
        cases = _playable(manifest, cases, against, there)
    except (CaseError, StartError) as error:
        console.print(f"[red]error:[/] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(2) from error
    outcomes = asyncio.run(_play_all(manifest, cases, gaps, against, there, console))
    stale = [gap for gap in gaps if not any(case.id == gap.case for case in cases)] if not contexts else []
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if as_json:
        typer.echo(json.dumps(_report(outcomes, against), indent=1))
    else:
        _print(console, manifest, cases, outcomes, stale, against)
    raise typer.Exit(1 if failed or stale else 0)


@asynccontextmanager
async def _target(manifest: Manifest, against: str, home: Path) -> AsyncIterator[Target]:
    if against in _languages(manifest):
        async with AsNative(manifest, against, home) as native:
            yield native
        return
    if against not in _PYTHON:
        yield AtAddress(against)
        return
    with tempfile.TemporaryDirectory(prefix="tricorn-conformance-", ignore_cleanup_errors=True) as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
        await asyncio.to_thread(server.start)
        try:
            if against == "python-grpc":
                yield OverSocket(server, manifest.root)
                return
            own = AsProcess(server, manifest) if against == "process" else InProcess(server, manifest.root)
            async with own as target:
                yield target
        finally:
            await asyncio.to_thread(server.stop)


def _playable(manifest: Manifest, cases: Sequence[Case], against: str, home: Path) -> list[Case]:
    """The cases that can be played against an implementation.

    Raises:
        CaseError: There is no such implementation, or it is not built.
    """
    if against == "process":
        return [case for case in cases if process_for(manifest, case)]
    if against in _PYTHON:
        return list(cases)
    if against not in _languages(manifest):
        if not against.startswith("unix:") and ":" not in against:
            choices = ", ".join([*_PYTHON, *_languages(manifest)])
            message = f"there is no implementation {against!r}; choose one of {choices}, or an address (unix:/path or host:port)"
            raise CaseError(message)
        return [case for case in cases if AtAddress.implements(case)]
    native = AsNative(manifest, against, home)
    cases = [case for case in cases if native.implements(case)]
    for name, part in manifest.natives.items():
        if part.language == against and not native_binary(manifest, name, home).is_file():
            message = (
                f"{name} is not built in {home}; `tricorn up --shape native` builds it, or name its home with --home"
            )
            raise CaseError(message)
    return cases


def _languages(manifest: Manifest) -> list[str]:
    return sorted({native.language for native in manifest.natives.values()})


async def _play_all(  # noqa: PLR0917
    manifest: Manifest, cases: Sequence[Case], gaps: Sequence[Gap], against: str, home: Path, console: Console
) -> list[Outcome]:
    outcomes = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"cases against {against}", total=len(cases))
        async with _target(manifest, against, home) as target:
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
