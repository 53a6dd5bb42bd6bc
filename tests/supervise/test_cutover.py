"""A contract is moved under load, by the commands that an operator types, in a system of real processes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.prove.words_application import WORDS, make_words, set_fault
from tests.supervise.running_words import Words, finish, until

from tricorn.prove.cutover import CutoverPlan
from tricorn.supervise.control import ControlClient
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home

pytestmark = pytest.mark.slow

# Times mean little where tests run beside each other, so slow is what is slower by far.
QUICK = ("--calls", "40", "--margin", "400", "--slow", "20", "--sample", "50", "--watch", "2s")
STEPS = ("--steps", "25,100")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Words]:
    root = tmp_path_factory.mktemp("words") / "app"
    make_words(root)
    words = Words(root, tmp_path_factory.mktemp("home"))
    words.up()
    yield words
    words.tricorn("down")


@pytest.fixture
def words(running: Words) -> Words:
    """Running, in Python, without a fault."""
    set_fault(running.home)
    status, said = running.tricorn("rollback", "words")
    assert status == 0, said
    return running


@pytest.fixture
def rehearsed(words: Words) -> Words:
    if not (words.home / "rehearsals").exists():
        status, said = words.tricorn("rehearse", "words")
        assert status == 0, said
    return words


def test_without_a_rehearsed_way_back_nothing_is_moved(words: Words) -> None:
    for path in (words.home / "rehearsals").glob("*"):
        path.unlink()

    status, said = words.tricorn("cutover", "words", "--to", "rust")

    assert status == 1
    assert "the way back of words from rust was never rehearsed" in said
    assert "tricorn rehearse words" in said
    assert words.shares() == {}


def test_a_rehearsal_moves_there_and_back_under_load_and_no_call_fails(words: Words) -> None:
    with words.load() as calls:
        status, said = words.tricorn("rehearse", "words")

    assert status == 0
    assert "; 0 of " in said
    assert calls.wrong == []
    assert words.shares() == {}


def test_a_good_candidate_gets_all_calls_and_no_call_fails(rehearsed: Words) -> None:
    with rehearsed.load() as calls:
        status, said = rehearsed.tricorn("cutover", "words", "--to", "rust", *STEPS, *QUICK)

    assert status == 0, said
    assert "done: words is answered by rust" in said
    assert calls.made > 100
    assert calls.wrong == []
    assert rehearsed.shares() == {"rust": 10_000}
    assert "cut over to rust" in rehearsed.tricorn("status")[1]
    history = rehearsed.tricorn("cutover", "--history", "words")[1]
    assert "evidence" in history
    assert "rust 25 % -> rust 100 %" in history


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"slow": 0.7}, "took longer than"),
        ({"gone": 500}, "failed in this step"),
        ({"wrong": 300}, "differ in this step"),
    ],
)
def test_one_that_turns_bad_at_a_quarter_is_taken_back(rehearsed: Words, fault: dict[str, float], why: str) -> None:
    with rehearsed.load() as calls, rehearsed.begin("cutover", "words", "--to", "rust", *STEPS, *QUICK) as cutover:
        until(cutover, "25 % to rust")
        set_fault(rehearsed.home, **fault)
        status, said = finish(cutover)

    assert status == 1
    assert "back to python from 25 %" in said
    assert why in said
    assert rehearsed.shares() == {}
    assert "went back to python from 25 %" in rehearsed.tricorn("status")[1]
    if "wrong" not in fault:  # what is late or gone is answered by the reference
        assert calls.wrong == []


def test_one_that_is_wrong_is_found_in_the_shadow_before_a_caller_sees_it(rehearsed: Words) -> None:
    set_fault(rehearsed.home, wrong=100)

    with rehearsed.load() as calls:
        status, said = rehearsed.tricorn("cutover", "words", "--to", "rust", *STEPS, *QUICK, "--sample", "100")

    assert status == 1
    assert "back to python from 0 %" in said
    assert calls.wrong == []


def test_one_that_turns_wrong_once_it_has_all_calls_is_found_by_the_reference_in_its_shadow(rehearsed: Words) -> None:
    typed = ("cutover", "words", "--to", "rust", *STEPS, *QUICK, "--watch", "10m")
    with rehearsed.load(), rehearsed.begin(*typed) as cutover:
        until(cutover, "watching for")
        set_fault(rehearsed.home, wrong=300)
        status, said = finish(cutover)

    assert status == 1
    assert "back to python from 100 %" in said
    assert "differ in this step" in said
    assert rehearsed.shares() == {}


def test_it_goes_on_when_the_terminal_is_killed(rehearsed: Words) -> None:
    with rehearsed.load() as calls:
        with rehearsed.begin("cutover", "words", "--to", "rust", *STEPS, *QUICK) as cutover:
            until(cutover, "25 % to rust")
            cutover.kill()
        status, said = rehearsed.tricorn("cutover", "words", "--follow")

    assert status == 0, said
    assert "done: words is answered by rust" in said
    assert calls.wrong == []


def test_control_c_leaves_it_alone_and_says_how_to_go_back_and_a_rollback_ends_it(rehearsed: Words) -> None:
    with rehearsed.load() as calls:
        with rehearsed.begin("cutover", "words", "--to", "rust", *STEPS, *QUICK, "--watch", "10m") as cutover:
            until(cutover, "25 % to rust")
            cutover.send_signal(signal.SIGINT)
            status, said = finish(cutover)
        twice = rehearsed.tricorn("cutover", "words", "--to", "rust", *STEPS, *QUICK)
        back, _ = rehearsed.tricorn("rollback", "words")
        ended = rehearsed.tricorn("cutover", "words", "--follow")[1]

    assert status == 130
    assert "rollback words" in said
    assert "being moved already" in twice[1]
    assert back == 0
    assert "bound by operator in between" in ended
    assert rehearsed.shares() == {}
    assert calls.wrong == []


def test_what_has_effects_and_no_key_is_moved_as_a_whole_or_not_at_all(rehearsed: Words) -> None:
    status, said = rehearsed.tricorn("cutover", "words/KeepWord", "--to", "rust", "--steps", "50,100")

    assert status == 1
    assert "cannot be divided (KeepWord: its contract names no split key)" in said
    assert "--steps 100" in said


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (("nothing",), "there is no contract 'nothing'"),
        (("words", "--to", "go"), "no native part in go"),
        (("words", "--steps", "50,25,100"), "not rising"),
        ((), "a target is missing"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(
    rehearsed: Words, typed: tuple[str, ...], complaint: str
) -> None:
    status, said = rehearsed.tricorn("cutover", *typed)

    assert status == 1
    assert complaint in said
    assert "->" in said


def test_with_stale_evidence_nothing_is_moved(rehearsed: Words) -> None:
    source = rehearsed.root / "native" / "notes.txt"
    source.write_text("the sources have changed")
    try:
        status, said = rehearsed.tricorn("cutover", "words", "--to", "rust")
    finally:
        source.unlink()

    assert status == 1
    assert "rust sources changed since the evidence" in said
    assert "tricorn verify words" in said


def test_the_supervisor_looks_for_itself_whoever_asks(rehearsed: Words) -> None:
    methods = (f"{WORDS}/CountWords",)
    plan = CutoverPlan(WORDS, "words", "rust", (10_000,), methods, (), "somebody", step_seconds=1).to_json()
    control = ControlClient(Home(rehearsed.home))
    source = rehearsed.root / "native" / "notes.txt"
    [rehearsal] = (rehearsed.home / "rehearsals").glob("*Service.rust.json")
    away = rehearsal.rename(rehearsal.with_suffix(".away"))

    with pytest.raises(SuperviseError, match="the way back of words from rust was never rehearsed"):
        list(control.stream("cutover.start", plan=plan))
    away.rename(rehearsal)
    source.write_text("the sources have changed")
    try:
        with pytest.raises(SuperviseError, match="words is not shown to be the same in rust: the rust sources changed"):
            list(control.stream("cutover.start", plan=plan))
    finally:
        source.unlink()

    assert rehearsed.shares() == {}


def test_after_a_kill_of_the_supervisor_in_the_middle_python_answers(rehearsed: Words) -> None:
    with rehearsed.load(), rehearsed.begin("cutover", "words", "--to", "rust", *STEPS, *QUICK) as cutover:
        until(cutover, "25 % to rust")
        supervisor = psutil.Process(rehearsed.state["pid"])
        family = supervisor.children(recursive=True)
        os.kill(supervisor.pid, signal.SIGKILL)
        status, said = finish(cutover)
    psutil.wait_procs([supervisor, *family], timeout=30)

    rehearsed.up()

    assert status == 1
    assert "supervisor" in said
    assert rehearsed.shares() == {}
    assert "the supervisor ended in the middle" in rehearsed.tricorn("cutover", "--history", "words")[1]
    with rehearsed.load() as calls:
        assert rehearsed.tricorn("status")[0] == 0
    assert calls.wrong == []


def test_a_native_process_that_is_killed_in_the_middle_ends_it_and_no_call_fails(rehearsed: Words) -> None:
    with rehearsed.load() as calls, rehearsed.begin("cutover", "words", "--to", "rust", *STEPS, *QUICK) as cutover:
        until(cutover, "25 % to rust")
        counter = next(each["pid"] for each in rehearsed.state["processes"] if each["name"] == "counter")
        os.kill(counter, signal.SIGKILL)
        status, said = finish(cutover)

    assert status == 1
    assert "back to python from 25 %" in said
    assert calls.wrong == []


def test_where_nothing_runs_a_home_is_made_to_rehearse_in(running: Words, tmp_path: Path) -> None:
    elsewhere = Words(running.root, tmp_path)

    status, said = elsewhere.tricorn("rehearse", "words")

    assert status == 0, said
    assert "words -> rust in " in said
    found = json.loads((tmp_path / "rehearsals" / "toy.words.v1.WordsService.rust.json").read_text())
    assert (found["alone"], found["failed"]) == (True, 0)
    assert all(found["stamp"].values())
    assert not (tmp_path / "state.json").exists()


def test_nothing_runs_so_nothing_can_be_cut_over(running: Words, tmp_path: Path) -> None:
    elsewhere = Words(running.root, tmp_path)

    status, said = elsewhere.tricorn("cutover", "words", "--follow")

    assert status == 1
    assert "nothing runs in" in said
