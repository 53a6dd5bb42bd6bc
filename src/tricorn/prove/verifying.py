"""A verification from its inputs to its evidence; what `tricorn verify` does, without the printing."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from tricorn.host import Manifest
from tricorn.prove.cache import AnswerCache
from tricorn.prove.candidate import Candidate, served_python, started
from tricorn.prove.errors import ProveError
from tricorn.prove.evidence import EffectsFound, Evidence, MutantsFound, Prints, SourceCount
from tricorn.prove.findings import Findings
from tricorn.prove.fingerprint import contract_fingerprint, fingerprints, reference_fingerprint
from tricorn.prove.inputs.mix import CASES, GENERATED, RECORDINGS
from tricorn.prove.judge import Judge, Step
from tricorn.prove.plan import Plan
from tricorn.prove.reference import Reference
from tricorn.prove.statistics import CONFIDENCE, upper_bound

PYTHON = "python"


def implementation(manifest: Manifest, contract: str) -> str:
    """What a contract is verified against when nobody says: its native part's language.

    Raises:
        ProveError: It has none.
    """
    native = manifest.native_of(contract)
    if native is None:
        raise ProveError(
            f"tricorn.toml has no native part for {contract}",
            remedy="name an implementation: --against ADDRESS, or --against python, which must be found the same",
        )
    return native.language


@asynccontextmanager
async def candidate_for(plan: Plan, state: Path) -> AsyncIterator[Candidate]:
    """The candidate, started if it has to be, with the same state as the reference.

    Raises:
        CandidateError: It is not there, not built, or does not start.
        ProveError: Nothing is called that.
    """
    native = plan.manifest.native_of(plan.target.contract)
    if plan.against == PYTHON:
        async with served_python(plan.site(state)) as address, Candidate(address) as candidate:
            yield candidate
    elif native is not None and native.language == plan.against:
        async with started(plan.manifest, native, plan.home, state) as address, Candidate(address) as candidate:
            yield candidate
    elif ":" in plan.against:
        async with Candidate(plan.against) as candidate:
            yield candidate
    else:
        raise ProveError(
            f"{plan.target.contract} has no implementation called {plan.against!r}",
            remedy="--against takes python, the language of its native part, or an address (unix:PATH, HOST:PORT)",
        )


def version_of(plan: Plan) -> str:
    """Under what answers of the reference are kept."""
    return f"{contract_fingerprint(plan.target.contract)[:16]}-{reference_fingerprint(plan.manifest, plan.target.contract)[:16]}"


@asynccontextmanager
async def judging(
    plan: Plan, state: Path, step: Step | None = None, workers: int | None = None
) -> AsyncIterator[Judge]:
    """A judge with everything that it needs, as long as the block runs."""
    count = max(1, (os.cpu_count() or 2) - 1) if workers is None else workers
    with AnswerCache(plan.home / "verify", version_of(plan)) as cache:
        async with candidate_for(plan, state) as candidate, Reference(plan.site(state), count) as reference:
            yield Judge(plan.policies, reference, candidate, cache, step)


def prints_of(plan: Plan) -> Prints:
    """What evidence is bound to, as it is now; to be taken before anything is asked."""
    native = plan.manifest.native_of(plan.target.contract)
    prints = fingerprints(plan.manifest, plan.target.contract, native)
    return Prints(contract=prints.contract, reference=prints.reference, native=prints.native)


def evidence_of(
    plan: Plan,
    prints: Prints,
    findings: Findings,
    mutants: MutantsFound | None,
    statement: str,
    *,
    effects: EffectsFound | None = None,
) -> Evidence:
    """What is kept of a verification of a whole contract against its native part."""
    return Evidence(
        contract=plan.target.contract,
        language=plan.against,
        fingerprints=prints,
        taken=datetime.now(UTC).replace(microsecond=0),
        seed=plan.seed,
        sources={
            source: SourceCount(compared=findings.compared[source], different=findings.different[source])
            for source in (CASES, RECORDINGS, GENERATED)
        },
        confidence=CONFIDENCE,
        differ_below=upper_bound(findings.different[GENERATED], findings.compared[GENERATED]),
        not_comparable=dict(findings.not_comparable),
        asked_twice=findings.asked_twice,
        unsteady=len(findings.unsteady),
        ignored_share=round(findings.ignored_share, 6),
        mutants=mutants,
        effects=effects,
        fields_never_set=findings.fields_never_set(),
        enum_values_never_seen=findings.values_never_seen(),
        gain=findings.gain,
        statement=statement,
    )


def keeps_evidence(plan: Plan, prints: Prints, findings: Findings) -> str:
    """Why a verification leaves no evidence; empty when it does. ``prints`` are those from before it began."""
    if findings.interrupted:
        return "it was interrupted"
    if plan.target.method is not None:
        return "evidence is of a whole contract"
    if not plan.is_of_a_native_part:
        return "evidence is of a native part of tricorn.toml"
    if not findings.compared[GENERATED]:
        return "nothing was generated"
    if prints_of(plan) != prints:
        return "the sources changed while it ran"
    return ""


def require_something(findings: Findings) -> None:
    """Makes sure that some of what was generated could be compared.

    Raises:
        ProveError: Nothing could.
    """
    if findings.kinds and not findings.compared[GENERATED] and not findings.interrupted:
        why, _ = findings.not_comparable.most_common(1)[0]
        raise ProveError(
            f"nothing could be compared: {why}",
            remedy="`verify` judges contracts that need no database; `tricorn conformance` plays the cases of the others",
        )


def is_the_same(findings: Findings) -> bool:
    """Whether something was compared, and nothing speaks against the candidate nor against the reference."""
    return findings.total > 0 and not findings.total_different and not findings.unsteady
