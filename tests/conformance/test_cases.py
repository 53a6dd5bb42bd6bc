"""Case files: what they may say, and what is said when they are wrong."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tricorn.conformance import AtAddress, CaseError, load_cases, load_gaps
from tricorn.conformance.targets import process_for
from tricorn.host import load_manifest

AGORA = Path(__file__).resolve().parents[2] / "agora"
MANIFEST = load_manifest(AGORA)
MANIFEST.activate()
CASE: dict[str, Any] = {
    "name": "stock of nothing is nothing",
    "method": "BatchGetStock",
    "why": "an empty question has an empty answer",
    "request": {},
    "response": {},
}


def _folder(tmp_path: Path, case: dict[str, Any], contract: str = "agora.inventory.v1.InventoryService") -> Path:
    (tmp_path / "x.json").write_text(json.dumps({"contract": contract, "cases": [case]}))
    return tmp_path


def test_a_case_is_read_with_its_messages(tmp_path: Path) -> None:
    (case,) = load_cases(MANIFEST, _folder(tmp_path, CASE))

    assert (case.id, case.contexts) == ("x: stock of nothing is nothing", ("inventory",))
    assert case.policy.name == "BatchGetStock"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "NoSuch"}, "has no method NoSuch"),
        ({"response": None}, "either a response or an error"),
        ({"request": {"nosuch": 1}}, "nosuch"),
        ({"why": ""}, "why"),
        ({"surprise": 1}, "surprise"),
        ({"files": {"inventory/../x": {"text": ""}}}, "files"),
        ({"files": {"inventory/x": {"hex": "0g"}}}, "hex"),
        ({"files": {"inventory/x": {"hex": "00", "text": ""}}}, "either text or hex"),
    ],
)
def test_a_wrong_case_says_where(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(CaseError) as caught:
        load_cases(MANIFEST, _folder(tmp_path, {**CASE, **change}))

    assert said in str(caught.value)
    assert "x" in str(caught.value)


def test_files_are_what_is_said_of_them(tmp_path: Path) -> None:
    files = {"inventory/a/b": {"text": "é"}, "inventory/c": {"hex": "00ff"}}

    (case,) = load_cases(MANIFEST, _folder(tmp_path, {**CASE, "files": files}))

    assert case.files == {"inventory/a/b": b"\xc3\xa9", "inventory/c": b"\x00\xff"}
    assert (case.stateless, case.reads) == (False, False)


def test_what_misses_others_is_no_case_for_a_process_that_has_them(tmp_path: Path) -> None:
    (case,) = load_cases(MANIFEST, _folder(tmp_path, CASE))

    assert process_for(MANIFEST, case) == "shop"
    assert process_for(MANIFEST, dataclasses.replace(case, alone=True)) is None
    assert not AtAddress.implements(dataclasses.replace(case, alone=True))


def test_a_contract_that_is_nobodys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=r"no context of tricorn\.toml"):
        load_cases(MANIFEST, _folder(tmp_path, CASE, "agora.nosuch.v1.NoService"))


def test_contexts_of_the_state_are_started_too(tmp_path: Path) -> None:
    case = {**CASE, "state": {"catalog.category": []}}

    (read,) = load_cases(MANIFEST, _folder(tmp_path, case))

    assert read.contexts == ("catalog", "inventory")


@pytest.mark.parametrize("name", ["inventory", "InventoryService", "agora.inventory.v1.InventoryService"])
def test_cases_are_found_by_any_name_of_their_contract(tmp_path: Path, name: str) -> None:
    folder = _folder(tmp_path, CASE)

    assert len(load_cases(MANIFEST, folder, [name])) == 1
    assert load_cases(MANIFEST, folder, ["pricing"]) == []


def test_a_name_that_nothing_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="no context or contract 'nosuch'"):
        load_cases(MANIFEST, _folder(tmp_path, CASE), ["nosuch"])


def test_no_file_of_gaps_is_no_gaps(tmp_path: Path) -> None:
    assert load_gaps(tmp_path / "known_gaps.toml") == []


def test_a_gap_needs_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "known_gaps.toml"
    path.write_text('[[gap]]\ncase = "x"\nimplementation = "python"\n')

    with pytest.raises(CaseError, match="reason"):
        load_gaps(path)
