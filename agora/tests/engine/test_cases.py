"""Every conformance case of the engine's contracts, against the engine behind its socket."""

from pathlib import Path

import pytest

from tricorn.conformance import AsNative, load_cases, play
from tricorn.host import load_manifest

AGORA = Path(__file__).parents[2]
MANIFEST = load_manifest(AGORA)
MANIFEST.activate()


@pytest.mark.usefixtures("binary")
async def test_the_engine_behaves_as_its_contracts_say() -> None:
    async with AsNative(MANIFEST, "rust", AGORA.parent / ".tricorn") as target:
        played = [case for case in load_cases(MANIFEST, AGORA / "conformance") if target.implements(case)]
        outcomes = [await play(case, target) for case in played]

    assert {outcome.case.policy.service for outcome in outcomes} == set(MANIFEST.natives["engine"].contracts)
    assert {outcome.case.id: outcome.findings for outcome in outcomes if not outcome.passed} == {}
