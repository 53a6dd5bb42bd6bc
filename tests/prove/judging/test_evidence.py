"""When evidence speaks for what is there, and when it does not."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tricorn.host import Manifest
from tricorn.prove.evidence import (
    Evidence,
    EvidenceError,
    Prints,
    SourceCount,
    evidence_path,
    fingerprints,
    freshness,
    load_evidence,
    save_evidence,
)

SUMS = "quiz.sums.v1.SumsService"


def taken(manifest: Manifest, *, generated: int = 30_000, different: int = 0) -> Evidence:
    """Evidence of the sources as they are."""
    prints = fingerprints(manifest, SUMS, manifest.natives["adder"])
    return Evidence(
        contract=SUMS,
        language="rust",
        fingerprints=Prints(contract=prints.contract, reference=prints.reference, native=prints.native),
        taken=datetime(2026, 11, 21, 12, tzinfo=UTC),
        seed=1,
        sources={"generated": SourceCount(compared=generated, different=different)},
        confidence=0.95,
        differ_below=0.0001,
        asked_twice=300,
        unsteady=0,
        ignored_share=0.0,
        statement="0 of 30,000 generated inputs differ",
    )


def sums_of(manifest: Manifest) -> Path:
    return manifest.root / "src" / "quiz" / "sums"


def test_evidence_of_the_sources_that_are_there_is_fresh(copy_of_quiz: Manifest) -> None:
    save_evidence(copy_of_quiz, taken(copy_of_quiz))

    found = freshness(copy_of_quiz, SUMS)

    assert found.fresh
    assert found.why == "0 of 30,000 generated inputs differ"
    assert found.evidence == taken(copy_of_quiz)


def test_without_a_file_nobody_has_verified_it(copy_of_quiz: Manifest) -> None:
    found = freshness(copy_of_quiz, SUMS)

    assert not found.fresh
    assert "nobody has verified sums in rust; run `tricorn verify sums`" in found.why


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("src/quiz/sums/server.py", "the reference"),
        ("src/quiz/sums/rules.py", "the reference"),
        ("native/adder.py", "the rust sources"),
        ("native/Cargo.lock", "the rust sources"),
    ],
)
def test_evidence_of_older_sources_is_stale(copy_of_quiz: Manifest, file: str, what: str) -> None:
    save_evidence(copy_of_quiz, taken(copy_of_quiz))
    changed = copy_of_quiz.root / file
    changed.write_text(changed.read_text() + "\n")

    found = freshness(copy_of_quiz, SUMS)

    assert not found.fresh
    assert f"{what} changed since the evidence of 2026-11-21 was taken; run `tricorn verify sums`" in found.why
    assert found.evidence is not None


def test_evidence_of_an_older_contract_is_stale(copy_of_quiz: Manifest) -> None:
    evidence = taken(copy_of_quiz)
    older = evidence.fingerprints.model_copy(update={"contract": "0" * 64})
    save_evidence(copy_of_quiz, evidence.model_copy(update={"fingerprints": older}))

    assert "the contract changed since" in freshness(copy_of_quiz, SUMS).why


def test_edits_elsewhere_leave_it_fresh(copy_of_quiz: Manifest) -> None:
    save_evidence(copy_of_quiz, taken(copy_of_quiz))
    (sums_of(copy_of_quiz) / "unrelated.py").write_text("ANSWER = 43\n")
    (copy_of_quiz.root / "native" / "README.md").write_text("New words.\n")
    (copy_of_quiz.root / "native" / "target").mkdir()
    (copy_of_quiz.root / "native" / "target" / "adder.o").write_bytes(b"\0")

    assert freshness(copy_of_quiz, SUMS).fresh


def test_a_file_that_moved_is_another_source(copy_of_quiz: Manifest) -> None:
    save_evidence(copy_of_quiz, taken(copy_of_quiz))
    native = copy_of_quiz.root / "native"
    (native / "adder.py").rename(native / "other.py")

    assert not freshness(copy_of_quiz, SUMS).fresh


def test_evidence_that_speaks_against_it_does_not_carry_a_move(copy_of_quiz: Manifest) -> None:
    save_evidence(copy_of_quiz, taken(copy_of_quiz, different=3))

    assert "the evidence speaks against it: 3 inputs differ" in freshness(copy_of_quiz, SUMS).why


def test_thin_evidence_does_not_carry_a_move(copy_of_quiz: Manifest) -> None:
    save_evidence(copy_of_quiz, taken(copy_of_quiz, generated=100))

    assert "the evidence is thin: 100 generated inputs, where 3,000 are asked for" in freshness(copy_of_quiz, SUMS).why


def test_a_contract_without_a_native_part_has_none(copy_of_quiz: Manifest) -> None:
    assert "has no native part" in freshness(copy_of_quiz, "quiz.shapes.v1.ShapesService").why


def test_a_file_that_is_no_evidence_is_said_to_be_none(copy_of_quiz: Manifest) -> None:
    path = save_evidence(copy_of_quiz, taken(copy_of_quiz))
    path.write_text("{}")

    with pytest.raises(EvidenceError, match="not evidence of `verify`"):
        load_evidence(copy_of_quiz, SUMS, "rust")
    assert "not evidence" in freshness(copy_of_quiz, SUMS).why


def test_evidence_about_another_contract_is_refused(copy_of_quiz: Manifest) -> None:
    path = save_evidence(copy_of_quiz, taken(copy_of_quiz))
    path.rename(evidence_path(copy_of_quiz, "quiz.shapes.v1.ShapesService", "rust"))

    with pytest.raises(EvidenceError, match=r"is about quiz\.sums\.v1\.SumsService in rust"):
        load_evidence(copy_of_quiz, "quiz.shapes.v1.ShapesService", "rust")
