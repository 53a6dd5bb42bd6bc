"""`tricorn verify`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tricorn.cli.application import HomeOption, home_of, manifest

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tricorn.prove.findings import Findings
    from tricorn.prove.mutants.campaign import Campaign
    from tricorn.prove.plan import Plan

app = typer.Typer()

SAME, DIFFERENT, INTERRUPTED = 0, 1, 130


@app.command()
def verify(
    target: Annotated[
        str, typer.Argument(help="A contract, or one of its methods: pricing, pricing/PriceBasket; or gateway.")
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="What is judged: the language of a native part, python, or a gRPC address. [default: the contract's native part]"
        ),
    ] = None,
    inputs: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many requests are generated. [default: 30000; with effects 4000, in sequences of calls]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is generated; the same seed, the same requests.")] = 1,
    recording: Annotated[
        list[str] | None, typer.Option(help="A file of `tricorn record`: its requests are asked, too. May be repeated.")
    ] = None,
    mutants: Annotated[
        str, typer.Option(help="Faults to plant in the reference: a number (a sample), all, or 0.")
    ] = "50",
    histories: Annotated[
        int, typer.Option(min=0, help="With effects: how many histories of calls at once are judged in each mode.")
    ] = 32,
    sequence: Annotated[
        int | None,
        typer.Option(min=0, help="With effects: play the sequence of this number alone and show both answers."),
    ] = None,
    request: Annotated[
        str | None, typer.Option(help="Ask this one request (JSON, or base64:...) and show both answers.")
    ] = None,
    home: HomeOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> int:
    """Put the same requests to the Python reference and to another implementation, and compare the answers.

    Of a contract with effects it plays sequences of calls, each implementation on a database of its own, compares the state after them, too, and
    judges histories of calls at once, also with both implementations on the same rows.

    Of the gateway it plays requests to Python's and to the native one, and compares what a client sees.

    Of a whole contract and its native part the outcome is kept in the application's folder `evidence`, to be committed: traffic is moved on
    it.

    Exit status: 0 when nothing differs, 1 when something does, 130 when it was interrupted.
    """
    from pathlib import Path

    from tricorn.host.references import GATEWAY
    from tricorn.host.targets import find_target
    from tricorn.prove.effects_of import has_effects
    from tricorn.prove.errors import ProveError
    from tricorn.prove.plan import CALLS, REQUESTS, Plan
    from tricorn.prove.verifying import implementation
    from tricorn.telemetry import configure_logging

    configure_logging("verify", level="critical")
    application = manifest()
    application.activate()
    root = home_of(home).path
    if target == GATEWAY:
        from tricorn.cli.verify_gateway import verify_gateway

        return verify_gateway(application, against, root, as_json=as_json)
    found = find_target(application, target)
    with_effects = has_effects(application, found.contract)
    plan = Plan(
        application,
        found,
        against or implementation(application, found.contract),
        root,
        inputs=(CALLS if with_effects else REQUESTS) if inputs is None else inputs,
        seed=seed,
        recordings=tuple(map(Path, recording or ())),
    )
    if (request is not None and with_effects) or (sequence is not None and not with_effects):
        raise ProveError(
            f"{found.short} has {'effects: what one request gives says little' if with_effects else 'no effects'}",
            remedy="play a whole sequence with --sequence" if with_effects else "ask a single request with --request",
        )
    _build(plan)
    if with_effects:
        from tricorn.cli.verify_effects import EffectsRun

        return EffectsRun(plan, sample_of(mutants), histories, as_json=as_json).run(sequence)
    if request is not None:
        return asyncio.run(_ask(plan, request))
    return _Run(plan, mutants, as_json=as_json).run()


def _build(plan: Plan) -> None:
    """Builds the native part that is judged, if its sources changed: evidence is of what the sources make."""
    from tricorn.cli.building import built

    native = plan.manifest.native_of(plan.target.contract)
    if native is not None and plan.is_of_a_native_part:
        name = next(name for name, part in plan.manifest.natives.items() if part is native)
        built(plan.manifest, name, plan.home, _say)


async def _ask(plan: Plan, text: str) -> int:
    """One request: both answers, and what differs."""
    from tricorn.prove.errors import ProveError
    from tricorn.prove.inputs.mix import GENERATED, Input
    from tricorn.prove.reference import temporary_home
    from tricorn.prove.statement import answer_lines, parse_request
    from tricorn.prove.verifying import judging

    if len(plan.policies) != 1:
        raise ProveError(
            f"{plan.target.short} has several methods: {', '.join(policy.name for policy in plan.policies)}",
            remedy=f"name the one that the request is for: {plan.target.short}/{plan.policies[0].name}",
        )
    policy = plan.policies[0]
    try:
        request = parse_request(policy, text)
    except ValueError as error:
        raise ProveError(str(error), remedy="give it as JSON, as `verify` prints it") from error
    with temporary_home() as state:
        async with judging(plan, state) as judge:
            expected, actual, differences = await judge.ask(Input(GENERATED, "asked", request))
    for line in answer_lines(policy, expected, actual, differences, plan.against):
        typer.echo(line)
    return DIFFERENT if differences else SAME


def _say(line: str) -> None:
    typer.echo(line, err=True)


class _Run:
    """A whole verification, with what is shown while it goes on."""

    def __init__(self, plan: Plan, mutants: str, *, as_json: bool) -> None:
        self._plan = plan
        self._sample = sample_of(mutants)
        self._as_json = as_json

    def run(self) -> int:
        return run_to_its_end(self._run())

    async def _run(self) -> int:
        from tricorn.cli.meter import Meter
        from tricorn.prove.ahead import drawn_ahead
        from tricorn.prove.evidence import save_evidence
        from tricorn.prove.reference import temporary_home
        from tricorn.prove.statement import closing
        from tricorn.prove.verifying import (
            evidence_of,
            is_the_same,
            judging,
            keeps_evidence,
            prints_of,
            require_something,
        )

        plan = self._plan
        prints = prints_of(plan)
        with (
            temporary_home() as state,
            drawn_ahead(plan) as inputs,
            Meter(f"{plan.target.short} against {plan.against}") as meter,
        ):
            for remark in inputs.remarks:
                _say(remark)
            async with judging(
                plan, state, lambda so_far: meter.show(so_far.asked, inputs.count, _differ(so_far))
            ) as judge:
                findings = await judge.judge(inputs.each)
                require_something(findings)
                self._print_findings(findings)
                for mismatch in judge.first_of_each_shape():
                    small = mismatch if findings.interrupted else await judge.smaller(mismatch)
                    self._print_mismatch(findings, small)
                if not findings.interrupted:
                    findings.gain = await judge.gain()
                asked = judge.for_mutants
            tried = None
            if self._sample != 0 and not findings.interrupted and asked:
                tried = await self._campaign(state, asked).run(
                    lambda so_far, planned: meter.show(len(so_far.verdicts), planned, f"{so_far.killed} mutants killed")
                )
                self._print_mutants(tried)
        found = None if tried is None or not tried.verdicts else tried.found(plan.manifest.root)
        statement = closing(findings, found, ended_early="interrupted" if findings.interrupted else "")
        why_not = keeps_evidence(plan, prints, findings)
        if tried is not None and tried.interrupted:
            why_not = "it was interrupted"
        path = (
            "" if why_not else str(save_evidence(plan.manifest, evidence_of(plan, prints, findings, found, statement)))
        )
        self._print_end(findings, found, statement, path, why_not)
        if findings.interrupted or (tried is not None and tried.interrupted):
            return INTERRUPTED
        return SAME if is_the_same(findings) else DIFFERENT

    def _campaign(self, state: Path, asked: Any) -> Campaign:
        from tricorn.prove.evidence import FOLDER
        from tricorn.prove.mutants.campaign import Campaign
        from tricorn.prove.mutants.equivalent import load_claims

        claims = load_claims(self._plan.manifest.root / FOLDER)
        sample = None if self._sample < 0 else self._sample
        return Campaign(self._plan.manifest, self._plan.site(state), asked, claims, sample=sample, seed=self._plan.seed)

    def _print_findings(self, findings: Findings) -> None:
        from tricorn.prove.statement import details, unsteady_lines

        if self._as_json:
            return
        for line in details(findings):
            typer.echo(line)
        for name, why in self._plan.left_out.items():
            typer.echo(f"left out: {name} ({why})")
        for mismatch in findings.unsteady[:3]:
            for line in unsteady_lines(mismatch, findings.policies[mismatch.input.request.method]):
                typer.echo(line)

    def _print_mismatch(self, findings: Findings, mismatch: Any) -> None:
        from tricorn.prove.statement import mismatch_lines

        if not self._as_json:
            whom = "" if self._plan.is_of_a_native_part else self._plan.against
            for line in mismatch_lines(mismatch, findings.policies[mismatch.input.request.method], whom):
                typer.echo(line)

    def _print_mutants(self, tried: Any) -> None:
        if not self._as_json:
            print_mutants(tried, self._plan.manifest.root)

    def _print_end(self, findings: Findings, found: Any, statement: str, path: str, why_not: str) -> None:
        from tricorn.prove.statement import mismatch_summary

        if self._as_json:
            said = {
                "target": self._plan.target.key,
                "against": self._plan.against,
                "statement": statement,
                "compared": dict(findings.compared),
                "different": dict(findings.different),
                "seconds": round(findings.seconds, 2),
                "referenceSeconds": round(findings.reference_seconds, 2),
                "perSecond": round(findings.total / max(findings.seconds, 1e-9)),
                "perSecondBesidesReference": findings.rate_besides_reference,
                "mutants": None if found is None else found.model_dump(),
                "mismatches": [
                    mismatch_summary(each, findings.policies[each.input.request.method]) for each in findings.mismatches
                ],
                "unsteady": len(findings.unsteady),
                "interrupted": findings.interrupted,
                "evidence": path,
            }
            typer.echo(json.dumps(said, indent=1, ensure_ascii=False))
            return
        typer.echo(f"\n{statement}")
        typer.echo(f"evidence: {path}" if path else f"no evidence is kept: {why_not}")
        sys.stdout.flush()


def print_mutants(tried: Any, root: Path) -> None:
    """What became of planted faults."""
    from tricorn.prove.mutants.campaign import survivor_line

    shares = (f"{name} {killed}/{planted}" for name, (killed, planted) in tried.by_operator().items())
    typer.echo(f"mutants killed: {', '.join(shares)}")
    for verdict in tried.survivors:
        typer.echo(f"survived {verdict.asked:,} inputs: {survivor_line(verdict.mutant, root)}")
    for verdict in tried.claimed:
        reason = tried.claims[verdict.mutant.name].reason
        typer.echo(f"claimed equivalent: {survivor_line(verdict.mutant, root)}: {reason}")
    for verdict in tried.false_claims:
        typer.echo(f"claimed equivalent, but killed: {survivor_line(verdict.mutant, root)}")
    if tried.never_entered:
        typer.echo(f"no input enters: {', '.join(tried.never_entered)}")


def sample_of(said: str) -> int:
    """How many mutants; -1: all."""
    if said == "all":
        return -1
    if said.isdigit():
        return int(said)
    raise typer.BadParameter(f"--mutants takes a number or all, not {said!r}")


def _differ(findings: Findings) -> str:
    return f"{findings.total_different:,} differ"


def run_to_its_end(work: Coroutine[Any, Any, int]) -> int:
    """The exit status; of several errors the first that a reader can mend."""
    from tricorn.prove.errors import ProveError

    try:
        return asyncio.run(work)
    except ExceptionGroup as group:
        wrong, _ = group.split(ProveError)
        if wrong is None:
            raise
        raise _first(wrong) from group


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    inner: BaseException = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
