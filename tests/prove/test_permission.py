"""What may be moved at all, by its contract and by tricorn.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.toy.toy_application import toy  # noqa: F401 - a fixture

from tricorn.host import Manifest, load_manifest
from tricorn.host.manifest import Native
from tricorn.host.targets import Target
from tricorn.prove.errors import ProveError
from tricorn.prove.permission import check_evidence, check_native, check_steps, default_steps, hash_of, methods_of

NOTES = "toy.notes.v1.NotesService"
STEPS = (100, 10_000)


@dataclass
class Natives:
    """A manifest, as far as native parts go."""

    natives: dict[str, Native]

    def native_of(self, contract: str) -> Native | None:
        return next((native for native in self.natives.values() if contract in native.contracts), None)


@pytest.fixture
def manifest(toy: Path) -> Manifest:  # noqa: F811 - the fixture of that name
    manifest = load_manifest(toy)
    manifest.activate()
    return manifest


def test_what_cannot_be_divided_is_refused_in_steps_with_each_reason_and_allowed_at_once(manifest: Manifest) -> None:
    target = Target(NOTES, "AddNote")

    with pytest.raises(ProveError, match="AddNote: its contract names no split key") as raised:
        check_steps(target, STEPS, shared=False)

    assert raised.value.remedy == "move all of them at once, with --steps 100"
    assert check_steps(target, (10_000,), shared=False) == []


def test_what_cannot_be_divided_moves_all_at_once_when_nobody_names_steps(manifest: Manifest) -> None:
    assert default_steps(Target(NOTES, "AddNote"), shared=False) == "100"


def test_a_target_is_one_method_or_all_of_a_contract(manifest: Manifest) -> None:
    assert [policy.name for policy in methods_of(Target(NOTES, "GetNote"))] == ["GetNote"]
    assert len(methods_of(Target(NOTES))) == 6


def test_there_must_be_a_native_part_in_that_language(manifest: Manifest) -> None:
    part = Native(language="rust", root="n", build=["b"], binary="x", sources=["n"], contracts=[NOTES])
    natives: Manifest = Natives({"engine": part})  # type: ignore[assignment]

    assert check_native(natives, Target(NOTES), "rust") == "engine"
    for language, remedy in (("go", "choose --to rust"), ("python", "to go back: `tricorn rollback notes`")):
        with pytest.raises(ProveError) as raised:
            check_native(natives, Target(NOTES), language)
        assert raised.value.remedy == remedy
    with pytest.raises(ProveError, match="no native part in rust"):
        check_native(manifest, Target(NOTES), "rust")


def test_without_evidence_nothing_moves(manifest: Manifest) -> None:
    with pytest.raises(ProveError, match="not shown to be the same in rust"):
        check_evidence(manifest, Target(NOTES), "rust")


def test_the_hash_of_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")

    assert hash_of(tmp_path / "b") == ""
    assert hash_of(tmp_path / "a").startswith("ca978112")
