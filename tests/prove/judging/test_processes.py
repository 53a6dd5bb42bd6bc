"""The judge with the processes that it has in real life."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest

from tricorn.contract import method_policy
from tricorn.host import Manifest
from tricorn.host.targets import Target
from tricorn.prove.errors import ProveError
from tricorn.prove.evidence import freshness
from tricorn.prove.gathering import inputs_of
from tricorn.prove.inputs.mix import GENERATED, Input
from tricorn.prove.outcome import ANSWERED, LATE, UNREAD
from tricorn.prove.plan import Plan
from tricorn.prove.reference import Answering, Reference, Request, Site, hosted
from tricorn.prove.verifying import implementation, is_the_same, judging, keeps_evidence, prints_of

SUMS = "quiz.sums.v1.SumsService"
ROOT = Path(__file__).parents[3]


def asked(plan: Plan, names: list[str]) -> Input:
    policy = plan.policies[0]
    return Input(GENERATED, "x", Request(policy.full_name, policy.input(names=names).SerializeToString()))


@pytest.mark.slow
async def test_a_reference_that_hangs_on_the_order_of_sets_is_found_unsteady(quiz: Manifest, tmp_path: Path) -> None:
    plan = Plan(quiz, Target("quiz.sums.v1.NamesService", "Shuffle"), "python", tmp_path / "home", inputs=0)
    names = [f"name-{number}" for number in range(20)]

    async with judging(plan, tmp_path, workers=1) as judge:
        found = await judge.judge([asked(plan, [*names, str(number)][1:]) for number in range(200)])

    assert found.asked_twice == 2
    assert len(found.unsteady) == 2
    assert not is_the_same(found)


@pytest.mark.slow
async def test_python_behind_a_socket_is_found_the_same_as_python(quiz: Manifest, tmp_path: Path) -> None:
    plan = Plan(quiz, Target(SUMS, "Add"), "python", tmp_path / "home", inputs=150)

    async with judging(plan, tmp_path, workers=1) as judge:
        found = await judge.judge(inputs_of(plan).each)
    async with judging(plan, tmp_path, workers=1) as judge:
        again = await judge.judge(inputs_of(plan).each)

    assert is_the_same(found)
    assert again.cached == again.asked == found.asked
    assert keeps_evidence(plan, prints_of(plan), found) == "evidence is of a whole contract"


@pytest.mark.slow
async def test_a_reference_that_cannot_begin_says_so(copy_of_quiz: Manifest, tmp_path: Path) -> None:
    (copy_of_quiz.root / "src" / "quiz" / "sums" / "server.py").write_text("def register(host): raise SystemExit\n")

    async with Reference(Site(copy_of_quiz.root, SUMS, tmp_path), 1) as reference:
        with pytest.raises(ProveError, match="a process of the Python reference died, or could not begin"):
            await reference.answer([Request(f"{SUMS}/Add", b"")])


async def test_what_takes_the_reference_too_long_is_late_whatever_the_clock_says(
    quiz: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import quiz.sums.server as served  # type: ignore[import-not-found]  # noqa: PLC0415 - importable with `quiz`

    def endless(total: int, divisor: int, up: bool) -> int:
        while True:
            pass

    monkeypatch.setattr(served, "divided", endless)
    answering = Answering(hosted(Site(quiz.root, SUMS, tmp_path)))
    policy = method_policy(f"{SUMS}/Add")
    request = Request(policy.full_name, policy.input(divisor=1, rounding=1).SerializeToString())

    outcomes = await answering.answer_all([request, Request(policy.full_name, b"\xff")])

    assert [outcome.kind for outcome, _ in outcomes] == [LATE, UNREAD]


async def test_what_is_late_among_callbacks_that_lose_errors_is_stopped_outside_them(
    quiz: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import quiz.sums.server as served  # noqa: PLC0415 - importable with `quiz`

    class Forgotten:
        pass

    def forgetful(total: int, divisor: int, up: bool) -> int:
        while True:
            seen: WeakSet[Forgotten] = WeakSet()
            for _ in range(100):
                seen.add(
                    Forgotten()
                )  # forgotten at once: the set's callback runs, in which an error would only be printed

    monkeypatch.setattr(served, "divided", forgetful)
    answering = Answering(hosted(Site(quiz.root, SUMS, tmp_path)))
    policy = method_policy(f"{SUMS}/Add")
    request = Request(policy.full_name, policy.input(divisor=1, rounding=1).SerializeToString())

    outcomes = await answering.answer_all([request] * 10)

    assert {outcome.kind for outcome, _ in outcomes} == {LATE}


async def test_a_limit_that_comes_while_rubbish_is_collected_is_not_lost(
    quiz: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import quiz.sums.server as served  # noqa: PLC0415 - importable with `quiz`

    def collecting(total: int, divisor: int, up: bool) -> int:
        while True:
            gc.collect(0)
            sum(range(300))

    def watches(phase: str, info: dict[str, int]) -> None:
        sum(range(300))  # a good part of the time is spent in here, where an error would only be printed

    monkeypatch.setattr(served, "divided", collecting)
    answering = Answering(hosted(Site(quiz.root, SUMS, tmp_path)))
    policy = method_policy(f"{SUMS}/Add")
    request = Request(policy.full_name, policy.input(divisor=1, rounding=1).SerializeToString())
    gc.callbacks.append(watches)
    try:
        outcomes = await answering.answer_all([request] * 3)
    finally:
        gc.callbacks.remove(watches)

    assert {outcome.kind for outcome, _ in outcomes} == {LATE}


async def test_an_answer_is_serialised_as_it_came(quiz: Manifest, tmp_path: Path) -> None:
    policy = method_policy(f"{SUMS}/Add")
    answering = Answering(hosted(Site(quiz.root, SUMS, tmp_path)))
    request = Request(policy.full_name, policy.input(values=[2, 3], divisor=2, rounding=2).SerializeToString())

    ((outcome, seconds),) = await answering.answer_all([request])

    assert outcome.kind == ANSWERED
    answer: Any = policy.output.FromString(outcome.payload)
    assert answer.quotient == 3
    assert seconds > 0


def test_methods_with_effects_and_streams_are_left_out(quiz: Manifest, tmp_path: Path) -> None:
    plan = Plan(quiz, Target(SUMS), "python", tmp_path)

    assert [policy.name for policy in plan.policies] == ["Add"]
    assert plan.left_out == {"Keep": "it has effects", "Follow": "a stream"}
    with pytest.raises(ProveError, match="no method of sums/Keep can be asked at will"):
        Plan(quiz, Target(SUMS, "Keep"), "python", tmp_path)


def test_a_contract_without_a_native_part_needs_a_name_to_be_judged_against(quiz: Manifest) -> None:
    assert implementation(quiz, SUMS) == "rust"
    with pytest.raises(ProveError, match=r"tricorn\.toml has no native part for quiz\.shapes"):
        implementation(quiz, "quiz.shapes.v1.ShapesService")


def tricorn(quiz: Manifest, home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tricorn", "--app", str(quiz.root), "verify", *words, "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'src'}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "QUIZ_PATH": os.pathsep.join((str(ROOT / "src"), str(quiz.root / "src"))),
            **environment,
        },
    )


@pytest.mark.slow
def test_a_native_part_is_built_judged_and_its_evidence_kept(copy_of_quiz: Manifest, tmp_path: Path) -> None:
    done = tricorn(copy_of_quiz, tmp_path, "sums", "--inputs", "3000", "--mutants", "0")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "evidence: " in done.stdout.splitlines()[-1]
    assert freshness(copy_of_quiz, SUMS).fresh
    (copy_of_quiz.root / "native" / "adder.py").write_text("another\n")
    assert not freshness(copy_of_quiz, SUMS).fresh


@pytest.mark.slow
def test_evidence_of_a_wrong_native_part_speaks_against_it(copy_of_quiz: Manifest, tmp_path: Path) -> None:
    done = tricorn(copy_of_quiz, tmp_path, "sums", "--inputs", "400", "--mutants", "0", QUIZ_WRONG="1")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "sum: expected 501, got 502" in done.stdout
    assert "./tricorn verify sums/Add --request" in done.stdout
    assert "the evidence speaks against it" in freshness(copy_of_quiz, SUMS).why


@pytest.mark.slow
def test_the_command_says_what_was_found(quiz: Manifest, tmp_path: Path) -> None:
    done = tricorn(quiz, tmp_path, "sums/Add", "--against", "python", "--inputs", "60", "--mutants", "2")

    assert done.returncode == 0, done.stderr
    assert "0 of 60 generated inputs differ; with 95% confidence (one-sided Clopper-Pearson) fewer than" in done.stdout
    assert "of 2 mutants killed, a sample of" in done.stdout
    assert "no evidence is kept: evidence is of a whole contract" in done.stdout


@pytest.mark.slow
def test_the_command_asks_one_request(quiz: Manifest, tmp_path: Path) -> None:
    request = '{"values": ["7"], "divisor": 2, "rounding": "ROUNDING_UP"}'

    done = tricorn(quiz, tmp_path, "sums/Add", "--against", "python", "--request", request)

    assert done.returncode == 0, done.stderr
    assert "quotient: 4" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "the same"


@pytest.mark.slow
def test_an_interrupted_command_says_what_is_known_so_far(quiz: Manifest, tmp_path: Path) -> None:
    words = ["verify", "sums/Add", "--against", "python", "--inputs", "200000", "--home", str(tmp_path)]
    running = subprocess.Popen(
        [sys.executable, "-P", "-m", "tricorn", "--app", str(quiz.root), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}"},
    )
    assert running.stderr is not None
    first = running.stderr.readline()

    running.send_signal(signal.SIGINT)
    said, complained = running.communicate(timeout=60)

    assert "sums/Add against python" in first
    assert running.returncode == 130, complained
    assert "interrupted: 0 of " in said
    assert "no evidence is kept: it was interrupted" in said
    assert "Traceback" not in complained


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "there is no contract 'nothing'; choose one of: names, shapes, sums"),
        (["sums/Divide"], "sums has no method 'Divide'"),
        (["shapes", "--against", "rust"], "has no implementation called 'rust'"),
        (["sums", "--against", "unix:/nowhere/at/all", "--inputs", "1"], "nothing answers at unix:/nowhere/at/all"),
        (["names", "--against", "python", "--request", "{}"], "names has several methods: Shuffle, Reverse"),
        (["sums/Add", "--against", "python", "--request", "{oops"], "not a AddRequest"),
        (["sums", "--against", "python", "--recording", "none.rec"], "none.rec"),
    ],
)
def test_what_makes_no_sense_is_said_with_a_remedy(quiz: Manifest, tmp_path: Path, words: list[str], said: str) -> None:
    done = tricorn(quiz, tmp_path, *words)

    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "->" in done.stderr
