"""Every conformance case of inventory, against its native part behind its socket."""

from pathlib import Path

import pytest

from tricorn.conformance import AsNative, load_cases, play
from tricorn.host import load_manifest

AGORA = Path(__file__).parents[3]
MANIFEST = load_manifest(AGORA)
MANIFEST.activate()


@pytest.mark.slow
@pytest.mark.usefixtures("built")
async def test_it_behaves_as_its_contract_says() -> None:
    (contract,) = MANIFEST.natives["inventory"].contracts
    cases = load_cases(MANIFEST, AGORA / "conformance", ["inventory"])
    async with AsNative(MANIFEST, "go", AGORA.parent / ".tricorn") as target:
        outcomes = [await play(case, target) for case in cases if target.implements(case)]

    assert {outcome.case.policy.service for outcome in outcomes} == {contract}
    assert len(outcomes) == len(cases)
    assert {outcome.case.id: outcome.findings for outcome in outcomes if not outcome.passed} == {}
