"""What evidence about a contract with effects must hold before anything is moved on it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.toy.toy_application import toy  # noqa: F401 - a fixture

from tricorn.host import Manifest, load_manifest
from tricorn.prove.effects_of import has_effects
from tricorn.prove.evidence import (
    EffectsFound,
    Evidence,
    HistoryCount,
    Prints,
    SourceCount,
    fingerprints,
    freshness,
    load_evidence,
    save_evidence,
)

NOTES = "toy.notes.v1.NotesService"
NATIVE = """
[natives.desk]
language = "go"
root = "."
build = ["true"]
binary = "desk"
sources = ["tricorn.toml"]
contracts = ["toy.notes.v1.NotesService"]
"""
MODES = ("reference", "candidate", "mixed")


@pytest.fixture
def manifest(toy: Path, tmp_path: Path) -> Manifest:  # noqa: F811 - the fixture of that name
    """The toy with a native part for its notes."""
    root = tmp_path / "app"
    root.mkdir()
    for part in ("src", "proto"):
        (root / part).symlink_to(toy / part)
    (root / "tricorn.toml").write_text((toy / "tricorn.toml").read_text() + NATIVE)
    manifest = load_manifest(root)
    manifest.activate()
    return manifest


def history(**more: int) -> HistoryCount:
    counts = {"windows": 32, "calls": 900, "overlapping": 1300, "across": 600, "looks": 60}
    counts |= {"impossible": 0, "undecided": 0, "unknown": 0}
    return HistoryCount(**(counts | more))


def effects(*, states_different: int = 0, **modes: HistoryCount) -> EffectsFound:
    histories = {mode: modes.get(mode, history()) for mode in MODES}
    return EffectsFound(
        sequences=400, at_once=300, states=400, states_different=states_different, histories=histories, invariants=2
    )


def save(manifest: Manifest, found: EffectsFound | None) -> Evidence:
    prints = fingerprints(manifest, NOTES, manifest.natives["desk"])
    evidence = Evidence(
        contract=NOTES,
        language="go",
        fingerprints=Prints(contract=prints.contract, reference=prints.reference, native=prints.native),
        taken=datetime(2026, 11, 21, 12, tzinfo=UTC),
        seed=1,
        sources={"generated": SourceCount(compared=4000, different=0)},
        confidence=0.95,
        differ_below=0.00075,
        asked_twice=300,
        unsteady=0,
        ignored_share=0.0,
        effects=found,
        statement="0 of 4,000",
    )
    save_evidence(manifest, evidence)
    return evidence


def test_a_contract_has_effects_where_a_method_changes_what_its_context_keeps(manifest: Manifest) -> None:
    assert has_effects(manifest, NOTES)
    assert not has_effects(manifest, "toy.notes.v1.KeysService")


def test_evidence_with_states_and_histories_of_both_carries_a_move_and_is_read_back(manifest: Manifest) -> None:
    evidence = save(manifest, effects())

    assert freshness(manifest, NOTES).fresh
    assert load_evidence(manifest, NOTES, "go") == evidence


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (None, "the contract has effects, and the evidence compares no state"),
        (effects(states_different=2), "speaks against it: 2 of 400 states differ"),
        (effects(mixed=history(windows=3)), "thin: 3 histories in mode mixed, where 20 are asked for"),
        (effects(mixed=history(across=99)), "both implementations were busy at once with 99 pairs of calls"),
        (effects().model_copy(update={"only_at_once": 1}), "1 groups differ when they are played at once"),
        (effects().model_copy(update={"unsteady": 2}), "leaves another state 2 times when it is asked again"),
        (effects(mixed=history(broken=1)), "and invariants were broken 1 times"),
        (effects(mixed=history(impossible=1)), "of 32 histories in mode mixed 1 are impossible and 0 undecided"),
        (effects(candidate=history(undecided=1)), "of 32 histories in mode candidate 0 are impossible and 1 undecided"),
    ],
)
def test_without_them_it_does_not(manifest: Manifest, found: EffectsFound | None, why: str) -> None:
    save(manifest, found)

    freshly = freshness(manifest, NOTES)

    assert not freshly.fresh
    assert why in freshly.why


def test_without_any_history_nothing_moves(manifest: Manifest) -> None:
    save(manifest, effects().model_copy(update={"histories": {}}))

    assert "thin: 0 histories in mode reference" in freshness(manifest, NOTES).why
