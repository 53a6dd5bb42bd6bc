"""The whole suite of an application: its own requests and those drawn from its contracts, played to two gateways."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tricorn.conformance.cases import CaseError
from tricorn.conformance.gaps import Gap, load_gaps
from tricorn.conformance.parity.candidates import candidate_for
from tricorn.conformance.parity.drawn import drawn_cases
from tricorn.conformance.parity.gateways import reference_and
from tricorn.conformance.parity.play import Finding, play_all
from tricorn.conformance.parity.tables import Case, Tables, load_tables
from tricorn.contract import service_policies
from tricorn.host import Manifest

TARGET = "gateway"
DRAWN = 300
SEED = 20261121


@dataclass(frozen=True, slots=True)
class Suite:
    """What is played."""

    tables: Tables
    cases: tuple[Case, ...]
    seed: int

    @property
    def requests(self) -> int:
        return sum(len(case.steps) for case in self.cases)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a suite: cases whose difference no gap names, gaps that closed, and gaps that were met."""

    played: int
    requests: int
    different: tuple[Finding, ...]
    closed: tuple[str, ...]
    known: tuple[tuple[Gap, Finding], ...]

    @property
    def passed(self) -> bool:
        return not self.different and not self.closed


def load_suite(manifest: Manifest, *, drawn: int = DRAWN, seed: int = SEED) -> Suite:
    """The requests of ``conformance/gateway`` and ``drawn`` more. The manifest is active.

    Raises:
        CaseError: A file of them is not of the form, or there are none.
    """
    folder = manifest.root / "conformance" / TARGET
    tables = load_tables(folder)
    if not tables.cases:
        message = f"{manifest.name} has no requests for gateways in {folder}"
        raise CaseError(message)
    policies = [policy for contract in manifest.contracts for policy in service_policies(contract)]
    more = drawn_cases(policies, tables.actors, tables.values, tables.lenient, drawn, seed)
    return Suite(tables, (*tables.cases, *more), seed)


async def play_suite(
    manifest: Manifest,
    suite: Suite,
    against: str,
    home: Path,
    *,
    advance: Callable[[], None] = lambda: None,
    only: str = "*",
) -> Outcome:
    """Starts two gateways and plays the suite to them.

    Args:
        manifest: The application, active.
        suite: What is played.
        against: The candidate: ``python``, or the language of a gateway in ``[natives]``.
        home: Below which native parts are built.
        advance: Called after each case.
        only: A pattern of the cases' names.

    Raises:
        CaseError: There is no such gateway, or a case names what is not there.
        StartError: A gateway did not start.
    """
    candidate = candidate_for(manifest, against, home)
    gaps = [gap for gap in gaps_of(manifest) if gap.implementation == against]
    cases = [case for case in suite.cases if fnmatchcase(case.id, only)]
    async with reference_and(candidate, manifest) as (reference, other):
        findings = await play_all(suite.tables.setup, cases, reference, other, advance)
    return judge(findings, gaps if only == "*" else [])


def gaps_of(manifest: Manifest) -> list[Gap]:
    """The known gaps that are about gateways."""
    gaps = load_gaps(manifest.root / "conformance" / "known_gaps.toml")
    return [gap for gap in gaps if gap.case.startswith(f"{TARGET}/")]


def judge(findings: Sequence[Finding], gaps: Sequence[Gap]) -> Outcome:
    """Sets findings against known gaps. A gap's case may be a pattern; every case that it names must still differ."""
    different, known = [], []
    closed = [f"{gap.case}: names no case" for gap in gaps if not any(_names(gap, each) for each in findings)]
    for finding in findings:
        gap = next((gap for gap in gaps if _names(gap, finding)), None)
        if gap is None and finding.differences:
            different.append(finding)
        elif gap is not None and finding.differences:
            known.append((gap, finding))
        elif gap is not None:
            closed.append(f"{finding.case.id}: is the same now")
    requests = sum(len(finding.case.steps) for finding in findings)
    return Outcome(len(findings), requests, tuple(different), tuple(closed), tuple(known))


def _names(gap: Gap, finding: Finding) -> bool:
    if gap.case.endswith("*"):
        return finding.case.id.startswith(gap.case[:-1])
    return finding.case.id == gap.case
