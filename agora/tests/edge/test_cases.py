"""What the edge reads from published views is what the reference says for the same rows."""

import pytest
from edge_process import AGORA, MANIFEST, Edge

from tricorn.conformance import Case, load_cases, load_gaps, play

METHODS = MANIFEST.natives["edge"].methods
CASES = [case for case in load_cases(MANIFEST, AGORA / "conformance") if case.policy.full_name in METHODS]
GAPS = load_gaps(AGORA / "conformance" / "known_gaps.toml")

pytestmark = pytest.mark.slow


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_the_edge_behaves_as_the_contract_says(case: Case, edge: Edge) -> None:
    outcome = await play(case, edge, GAPS)

    assert outcome.passed, outcome.findings


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_case(method: str) -> None:
    assert any(case.policy.full_name == method for case in CASES)
