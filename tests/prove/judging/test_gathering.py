"""Where the inputs of a verification come from."""

import json
from pathlib import Path

import pytest

from tricorn.contract import method_policy
from tricorn.host import Manifest, load_manifest
from tricorn.host.targets import Target
from tricorn.prove.errors import ProveError
from tricorn.prove.gathering import inputs_of
from tricorn.prove.inputs.mix import CASES, GENERATED, RECORDINGS, SHAPED
from tricorn.prove.plan import Plan
from tricorn.prove.recording import RecordingWriter, header_for
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd, RecordingEntry

SUMS = "quiz.sums.v1.SumsService"
NAMES = "quiz.sums.v1.NamesService"


def recorded(path: Path, contract: str, *, whole: bool = True) -> Path:
    """A recording with two calls of Add and one of a method with effects."""
    writer = RecordingWriter(path, header_for(contract, [], sample=10_000, process="test"))
    kind = method_policy(f"{SUMS}/Add").input
    for method, value in (("Add", 901), ("Keep", 902), ("Add", 903)):
        request = kind(values=[value], divisor=1, rounding=1).SerializeToString()
        writer.add(RecordingEntry(call=RecordedCall(method=method, request=request)).SerializeToString())
    writer.end(RecordingEnd.STOPPED)
    if not whole:
        path.write_bytes(path.read_bytes()[:-1])
    return path


def plan_of(manifest: Manifest, folder: Path, *recordings: Path, inputs: int = 0) -> Plan:
    return Plan(manifest, Target(SUMS), "python", folder, inputs=inputs, recordings=recordings)


def test_recorded_requests_of_methods_that_can_be_asked_are_asked(quiz: Manifest, tmp_path: Path) -> None:
    plan = plan_of(quiz, tmp_path, recorded(tmp_path / "r", SUMS))

    found = list(inputs_of(plan).each)

    kind = plan.policies[0].input
    assert [(input_.source, input_.name) for input_ in found] == [(RECORDINGS, "r")] * 2
    assert [kind.FromString(input_.request.payload).values[0] for input_ in found] == [901, 903]  # type: ignore[attr-defined]


def test_what_is_generated_speaks_of_what_was_recorded(quiz: Manifest, tmp_path: Path) -> None:
    plan = plan_of(quiz, tmp_path, recorded(tmp_path / "r", SUMS), inputs=300)
    kind = plan.policies[0].input

    generated = [input_ for input_ in inputs_of(plan).each if input_.source == GENERATED and input_.name != "damaged"]

    values = [value for input_ in generated for value in kind.FromString(input_.request.payload).values]  # type: ignore[attr-defined]
    assert values.count(901) + values.count(903) > 20


def test_a_recording_that_broke_off_is_used_and_said_to_be_one(quiz: Manifest, tmp_path: Path) -> None:
    inputs = inputs_of(plan_of(quiz, tmp_path, recorded(tmp_path / "r", SUMS, whole=False)))

    assert inputs.count == 2
    assert "broke off" in inputs.remarks[0]


def test_a_recording_of_another_contract_is_refused(quiz: Manifest, tmp_path: Path) -> None:
    path = recorded(tmp_path / "r", NAMES)

    with pytest.raises(ProveError, match=r"is a recording of quiz\.sums\.v1\.NamesService, not of quiz\.sums"):
        inputs_of(plan_of(quiz, tmp_path, path))


def test_a_file_that_is_no_recording_is_refused(quiz: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"rubbish")

    with pytest.raises(ProveError, match="is no recording"):
        inputs_of(plan_of(quiz, tmp_path, path))


def test_conformance_cases_without_state_are_asked(copy_of_quiz: Manifest, tmp_path: Path) -> None:
    case = {"name": "seven is seven", "method": "Add", "why": "one number is its sum"}
    request = {"values": ["7"], "divisor": 1, "rounding": "ROUNDING_UP"}
    cases = [{**case, "request": request, "response": {}}]
    folder = copy_of_quiz.root / "conformance"
    folder.mkdir()
    (folder / "add.json").write_text(json.dumps({"contract": SUMS, "cases": cases}))

    found = list(inputs_of(plan_of(copy_of_quiz, tmp_path)).each)

    assert [(input_.source, input_.name) for input_ in found] == [(CASES, "add: seven is seven")]


def test_a_case_that_is_wrong_is_said_to_be(copy_of_quiz: Manifest, tmp_path: Path) -> None:
    folder = copy_of_quiz.root / "conformance"
    folder.mkdir()
    (folder / "add.json").write_text("{}")

    with pytest.raises(ProveError, match=r"add\.json"):
        inputs_of(plan_of(copy_of_quiz, tmp_path))


def test_an_application_s_own_generator_gives_half_of_the_requests(copy_of_quiz: Manifest, tmp_path: Path) -> None:
    settings = copy_of_quiz.root / "tricorn.toml"
    settings.write_text(settings.read_text() + '\n[verify.sums]\ngenerator = "quiz.sums.shaped:request"\n')
    manifest = load_manifest(copy_of_quiz.root)

    shaped = [input_ for input_ in inputs_of(plan_of(manifest, tmp_path, inputs=400)).each if input_.name == SHAPED]

    kind = method_policy(f"{SUMS}/Add").input
    assert 120 < len(shaped) < 240
    assert {kind.FromString(input_.request.payload).divisor for input_ in shaped} == {77}  # type: ignore[attr-defined]
