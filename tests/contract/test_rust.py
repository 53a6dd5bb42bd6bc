"""Rust is made for the crates that ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.contract.codegen import CodegenError, Source
from tricorn.contract.rust import Crate, find_crates, generate, missing_tool
from tricorn.host.natives import build_folder

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toy" / "app" / "proto"
NOTES = "toy.notes.v1.NotesService"


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(TOY, "toy", "toy_proto", tmp_path / "toy_proto")


@pytest.fixture(scope="module")
def build() -> Path:
    if missing := missing_tool():
        pytest.skip(missing)
    return build_folder("gen", ROOT / ".tricorn")


def test_crates_that_ask_are_found_and_no_others(tmp_path: Path) -> None:
    said = {
        "asks": f'[package]\nname = "asks"\n[package.metadata.tricorn]\ncontracts = ["{NOTES}"]\nfiles = ["toy/v1/reason.proto"]\n',
        "asks/target/copy": f'[package.metadata.tricorn]\ncontracts = ["{NOTES}"]\n',
        "asks-not": '[package]\nname = "asks-not"\n',
        "workspace": '[workspace]\nmembers = ["crates/*"]\n',
    }
    for folder, text in said.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "Cargo.toml").write_text(text)

    assert find_crates(tmp_path) == [Crate(tmp_path / "asks", (NOTES,), ("toy/v1/reason.proto",))]


def test_without_cargo_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert missing_tool() == "there is no cargo"


def test_what_is_stale_is_written_and_what_is_left_over_removed(tmp_path: Path, source: Source, build: Path) -> None:
    crate = Crate(tmp_path / "crate", (NOTES,), ("toy/v1/reason.proto",))
    made = tmp_path / "crate" / "src" / "gen"

    first = generate(source, crate, build, check=False)
    fresh = generate(source, crate, build, check=True)
    (made / "toy.old.v1.rs").write_text("// of a contract that is gone")
    (made / "toy.notes.v1.rs").write_text("// edited")
    stale = generate(source, crate, build, check=True)
    generate(source, crate, build, check=False)

    assert {path.name for path in first} == {
        "descriptors.binpb",
        "mod.rs",
        "toy.notes.v1.rs",
        "toy.v1.rs",
        "tricorn.v1.rs",
    }
    assert fresh == []
    assert {path.name for path in stale} == {"toy.old.v1.rs", "toy.notes.v1.rs"}
    assert "pub struct AddNoteRequest" in (made / "toy.notes.v1.rs").read_text()
    assert not (made / "toy.old.v1.rs").exists()
    assert generate(source, crate, build, check=True) == []


def test_a_contract_that_nobody_declares_is_named(tmp_path: Path, source: Source, build: Path) -> None:
    crate = Crate(tmp_path / "crate", ("toy.notes.v1.LettersService",), ())

    with pytest.raises(CodegenError, match=r"no file declares toy\.notes\.v1\.LettersService"):
        generate(source, crate, build, check=False)

    assert not (tmp_path / "crate").exists()
