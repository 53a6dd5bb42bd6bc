"""Evidence about a gateway speaks for the sources that it was taken of, and for no others."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.toy.toy_application import toy  # noqa: F401 - a fixture

from tricorn.host import load_manifest
from tricorn.prove.gateways import gateway_evidence_path, gateway_freshness, gateway_prints, save_gateway_evidence

if TYPE_CHECKING:
    from pathlib import Path

    from tricorn.host import Manifest

EDGE = """
[natives.edge]
language = "go"
root = "native"
build = ["make"]
binary = "edge"
sources = ["native"]
gateway = true
"""


@pytest.fixture
def application(toy: Path, tmp_path: Path) -> Manifest:  # noqa: F811 - the fixture
    """A copy of an application with a native gateway."""
    root = shutil.copytree(toy, tmp_path / "application")
    (root / "native").mkdir()
    (root / "native" / "edge.go").write_text("package edge\n")
    with (root / "tricorn.toml").open("a") as file:
        file.write(EDGE)
    manifest = load_manifest(root)
    manifest.activate()
    return manifest


def _save(application: Manifest, *, requests: int = 640, different: int = 0) -> None:
    found = {"cases": 600, "requests": requests, "known": 3, "different": different}
    assert save_gateway_evidence(application, "go", gateway_prints(application), **found)


def test_fresh_evidence_speaks_for_both_gateways(application: Manifest) -> None:
    _save(application)

    found = gateway_freshness(application)

    assert (found.fresh, found.why) == (True, "")
    assert found.evidence is not None
    assert found.evidence.same == 597


def test_of_sources_that_changed_while_it_was_taken_there_is_none(application: Manifest) -> None:
    before = gateway_prints(application)
    (application.root / "native" / "edge.go").write_text("package edge // faster\n")

    kept = save_gateway_evidence(application, "go", before, cases=600, requests=640, known=3, different=0)

    assert kept is None
    assert not gateway_evidence_path(application, "go").exists()


def test_without_evidence_it_says_what_to_do(application: Manifest) -> None:
    found = gateway_freshness(application)

    assert not found.fresh
    assert found.why == "nobody has compared the two gateways; run `tricorn verify gateway`"


def test_a_change_of_the_native_gateway_makes_it_stale_and_one_of_its_tests_does_not(application: Manifest) -> None:
    _save(application)
    (application.root / "native" / "edge_test.go").write_text("package edge\n")
    tests_changed = gateway_freshness(application).fresh

    (application.root / "native" / "edge.go").write_text("package edge // faster\n")

    assert tests_changed
    assert "the go gateway changed since the evidence" in gateway_freshness(application).why


@pytest.mark.parametrize("what", ["contracts", "python"])
def test_another_contract_or_python_gateway_makes_it_stale(application: Manifest, what: str) -> None:
    _save(application)
    path = gateway_evidence_path(application, "go")
    said = json.loads(path.read_text())
    said["fingerprints"][what] = "0" * 64
    path.write_text(json.dumps(said))

    found = gateway_freshness(application)

    assert {"contracts": "a contract changed", "python": "the Python gateway changed"}[what] in found.why


def test_requests_that_differ_or_are_too_few_carry_nothing(application: Manifest) -> None:
    _save(application, different=2)
    different = gateway_freshness(application).why
    _save(application, requests=499)
    few = gateway_freshness(application).why

    assert "2 of 600 requests are answered differently" in different
    assert "the evidence is thin: 499 requests, where 500 are asked for" in few


def test_rubbish_is_no_evidence(application: Manifest) -> None:
    path = gateway_evidence_path(application, "go")
    path.parent.mkdir(exist_ok=True)
    path.write_text("{}")

    assert "gateway.go.json is not evidence about a gateway" in gateway_freshness(application).why
