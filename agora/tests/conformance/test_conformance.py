"""Every case of every contract, in this process, behind a socket and as a process; and that they leave nothing out."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from agora_proto.reasons import Reason
from tricorn.conformance import AsProcess, Case, Gap, InProcess, OverSocket, load_cases, load_gaps, play, unreached
from tricorn.contract import PlatformReason, service_policies
from tricorn.contract.policy import Level
from tricorn.data import EmbeddedPostgres
from tricorn.host import load_manifest

APPLICATION = Path(__file__).parents[2]
FOLDER = APPLICATION / "conformance"
MANIFEST = load_manifest(APPLICATION)
MANIFEST.activate()
CASES = load_cases(MANIFEST, FOLDER)
GAPS = load_gaps(FOLDER / "known_gaps.toml")
SERVICES = [contract for context in MANIFEST.contexts.values() for contract in context.contracts]
# Given by gateways and by the wire, before or instead of an implementation; their own tests show them.
NOT_OF_AN_IMPLEMENTATION = {
    "MALFORMED_REQUEST", "METHOD_NOT_ALLOWED", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "NOT_ACCEPTABLE",
    "RATE_LIMITED", "CANCELLED", "INTERNAL", "UNIMPLEMENTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED",
}  # fmt: skip


def _ids(cases: list[Case]) -> Iterator[str]:
    return (case.id for case in cases)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def python(postgres: EmbeddedPostgres) -> AsyncIterator[InProcess]:
    """The Python implementation; what only reads is asked of contexts that run already."""
    async with InProcess(postgres, APPLICATION) as target:
        yield target


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", CASES, ids=_ids(CASES))
async def test_the_python_implementation_behaves_as_its_contract_says(case: Case, python: InProcess) -> None:
    outcome = await play(case, python, GAPS)

    assert outcome.passed, outcome.findings or "a known gap has closed: strike it out of known_gaps.toml"


@pytest.mark.full
@pytest.mark.parametrize("case", CASES, ids=_ids(CASES))
async def test_it_behaves_so_behind_a_socket_as_well(case: Case, postgres: EmbeddedPostgres) -> None:
    outcome = await play(case, OverSocket(postgres, APPLICATION), GAPS)

    assert outcome.passed, outcome.findings


READING = [case for case in CASES if case.reads and not case.alone]
CHANGED_BY_CONTEXT = [
    next(case for case in CASES if owner in case.contexts and case.policy.service in context.contracts and case.state)
    for owner, context in MANIFEST.contexts.items()
]


@pytest.mark.slow
async def test_it_behaves_so_as_a_process_of_its_own(postgres: EmbeddedPostgres) -> None:
    async with AsProcess(postgres, MANIFEST) as target:
        played = [case for case in (*READING, *CHANGED_BY_CONTEXT) if target.implements(case)]
        outcomes = [await play(case, target, GAPS) for case in played]

    assert len(outcomes) > len(READING)
    assert {outcome.case.id: outcome.findings for outcome in outcomes if not outcome.passed} == {}


@pytest.mark.full
@pytest.mark.parametrize("context", MANIFEST.contexts)
async def test_it_behaves_so_as_a_process_for_each_case(context: str, postgres: EmbeddedPostgres) -> None:
    contracts = MANIFEST.contexts[context].contracts
    async with AsProcess(postgres, MANIFEST) as target:
        played = [case for case in CASES if case.policy.service in contracts and target.implements(case)]
        outcomes = [await play(case, target, GAPS) for case in played]

    assert {outcome.case.id: outcome.findings for outcome in outcomes if not outcome.passed} == {}


def test_every_method_has_a_case() -> None:
    assert unreached(CASES, SERVICES) == []


def test_every_reason_has_a_case() -> None:
    reached = {case.error.reason for case in CASES if case.error is not None}

    assert {*Reason, *PlatformReason} - NOT_OF_AN_IMPLEMENTATION - reached == set()


def test_every_method_that_takes_something_has_a_case_that_is_refused() -> None:
    refused = {case.policy.full_name for case in CASES if case.error is not None}
    takes = {
        policy.full_name
        for service in SERVICES
        for policy in service_policies(service)
        if policy.input.DESCRIPTOR.fields and policy.level is not Level.INTERNAL
    }

    assert takes - refused == set()


def test_gaps_name_cases_that_are_there() -> None:
    # Those of the gateways are of another suite, which plays them.
    named = {gap.case for gap in GAPS if not gap.case.startswith("gateway/")}

    assert named - {case.id for case in CASES} == set()


async def test_a_gap_that_has_closed_fails(postgres: EmbeddedPostgres) -> None:
    case = next(case for case in CASES if case.policy.name == "GetOrderFigures")
    gap = Gap(case.id, "python", "none, it only says so")

    outcome = await play(case, InProcess(postgres, APPLICATION), [gap])

    assert not outcome.passed
