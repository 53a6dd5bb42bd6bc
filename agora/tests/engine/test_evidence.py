"""What is committed as proof must be proof of what is committed."""

from pathlib import Path

import pytest

from tricorn.host import load_manifest
from tricorn.prove.evidence import freshness

APPLICATION = Path(__file__).parents[2]
MANIFEST = load_manifest(APPLICATION)
CONTRACTS = [contract for native in MANIFEST.natives.values() for contract in native.contracts]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_evidence_of_a_native_contract_is_of_these_sources(contract: str) -> None:
    found = freshness(MANIFEST, contract)

    assert found.fresh, f"{found.why}; run `./tricorn verify {contract}` and commit agora/evidence"
