"""`tricorn verify` of a contract with effects: what it shows while it goes on, and what it keeps."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import typer

from tricorn.cli.meter import Meter
from tricorn.cli.verify import DIFFERENT, INTERRUPTED, SAME, print_mutants, run_to_its_end
from tricorn.prove.effects.mutants import SECONDS, SEQUENCES
from tricorn.prove.effects.telling import closing_of, details_of, failed_lines, played_lines
from tricorn.prove.effects.verifying import Effects, verifying
from tricorn.prove.evidence import FOLDER, save_evidence
from tricorn.prove.interrupt import taken_back
from tricorn.prove.mutants.campaign import Campaign
from tricorn.prove.mutants.equivalent import load_claims
from tricorn.prove.reference import temporary_home
from tricorn.prove.verifying import evidence_of, keeps_evidence, prints_of

if TYPE_CHECKING:
    from pathlib import Path

    from tricorn.prove.effects.comparing import Played, SequenceJudge
    from tricorn.prove.effects.verifying import EffectsVerification
    from tricorn.prove.mutants.campaign import Tried
    from tricorn.prove.plan import Plan

_MOST_SHOWN = 3


class EffectsRun:
    """One verification.

    Args:
        sample: How many mutants; -1: all.
        windows: How many histories are judged in each mode.
    """

    def __init__(self, plan: Plan, sample: int, windows: int, *, as_json: bool) -> None:
        self._plan = plan
        self._sample = sample
        self._windows = windows
        self._as_json = as_json

    def run(self, sequence: int | None) -> int:
        """All of it, or one sequence; the exit status."""
        return run_to_its_end(self._all() if sequence is None else self._one(sequence))

    async def _one(self, number: int) -> int:
        with temporary_home() as state:
            async with verifying(self._plan, state) as verification, verification.comparing() as judge:
                played = await judge.alone(verification.sequence(number))
        self._show(played)
        if not played.differs:
            typer.echo("the same")
        return DIFFERENT if played.differs else SAME

    async def _all(self) -> int:
        plan = self._plan
        prints = prints_of(plan)
        with temporary_home() as state, Meter(f"{plan.target.short} against {plan.against}") as meter:
            async with verifying(plan, state) as verification:
                effects = verification.effects
                tried: Tried | None = None
                try:
                    async with verification.comparing(meter.show) as judge:
                        await judge.judge(verification.sequences())
                        shown = await self._smaller(judge)
                    await verification.histories(self._windows, meter.show)
                    tried = await self._mutants(verification, state, meter)
                except asyncio.CancelledError:
                    effects.findings.interrupted = True
                    taken_back()
                    shown = []
        self._print(effects, shown)
        found = None
        if tried is not None and tried.verdicts:
            found = tried.found(plan.manifest.root)
            if not self._as_json:
                print_mutants(tried, plan.manifest.root)
        statement = closing_of(effects, found, ended_early="interrupted" if effects.findings.interrupted else "")
        why_not = keeps_evidence(plan, prints, effects.findings)
        evidence = evidence_of(plan, prints, effects.findings, found, statement, effects=effects.found())
        path = "" if why_not else str(save_evidence(plan.manifest, evidence))
        self._end(effects, statement, path, why_not)
        if effects.findings.interrupted:
            return INTERRUPTED
        return SAME if effects.is_the_same else DIFFERENT

    async def _smaller(self, judge: SequenceJudge) -> list[Played]:
        """One sequence for each kind of difference, with as few calls as show it."""
        shapes: dict[tuple[str, str], Played] = {}
        for played in judge.found.different:
            shapes.setdefault(played.shape, played)
        return [await judge.smaller(played) for played in list(shapes.values())[:_MOST_SHOWN]]

    async def _mutants(self, verification: EffectsVerification, state: Path, meter: Meter) -> Tried | None:
        """Plants faults in the reference, unless something differs already."""
        if not self._sample or not verification.effects.is_the_same:
            return None
        asked = await verification.for_mutants()
        claims = load_claims(self._plan.manifest.root / FOLDER)
        sample = None if self._sample < 0 else self._sample
        site = self._plan.site(state)
        campaign = Campaign(
            self._plan.manifest,
            site,
            asked,
            claims,
            sample=sample,
            seed=self._plan.seed,
            seconds=SECONDS,
            trial=SEQUENCES,
        )
        return await campaign.run(
            lambda so_far, planned: meter.show(len(so_far.verdicts), planned, f"{so_far.killed} mutants killed")
        )

    def _show(self, played: Played) -> None:
        for line in played_lines(played, self._plan.against, self._plan.target.short, self._plan.seed):
            typer.echo(line)

    def _print(self, effects: Effects, shown: list[Played]) -> None:
        if self._as_json:
            return
        for line in details_of(effects):
            typer.echo(line)
        for name, why in self._plan.left_out.items():
            typer.echo(f"left out: {name} ({why})")
        for played in shown:
            self._show(played)
        failed = [failed for mode in effects.histories.values() for failed in mode.failed]
        for each in failed[:_MOST_SHOWN]:
            for line in failed_lines(each):
                typer.echo(line)

    def _end(self, effects: Effects, statement: str, path: str, why_not: str) -> None:
        if not self._as_json:
            typer.echo(f"\n{statement}")
            typer.echo(f"evidence: {path}" if path else f"no evidence is kept: {why_not}")
            sys.stdout.flush()
            return
        findings = effects.findings
        said: dict[str, Any] = {
            "target": self._plan.target.key,
            "against": self._plan.against,
            "statement": statement,
            "compared": dict(findings.compared),
            "different": dict(findings.different),
            "seconds": round(findings.seconds, 2),
            "effects": effects.found().model_dump(),
            "interrupted": findings.interrupted,
            "evidence": path,
        }
        typer.echo(json.dumps(said, indent=1, ensure_ascii=False))
