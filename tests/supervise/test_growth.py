"""Native parts that join, or do not, an application that answers already. Programs of the tests build and check them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.supervise.growing import CONTRACT, Spec, bindings, heard, places, state

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Any]  # conftest's `start`; gives a conftest.Run


def test_a_part_is_bound_with_one_line_while_the_application_answers(start: Start, spec: Spec) -> None:
    run = start(spec.plan())
    run.until("ready")
    answered = run.get()

    notes = heard(run, "bound after")
    [stay] = run.until("settled")

    assert stay == []
    assert notes[0] == "things was built in 3 s"
    assert notes[-1].startswith("things -> other   12/12 cases the same   a thing 9 ms -> 1 ms   bound after ")
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}
    assert places(run) == {"python": ["unix:/nowhere"], "other": [f"unix:{spec.address}"]}
    assert run.get() == answered


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (
            {"passed": 11, "finding": "things/one: expected 1, got 2"},
            "11/12 cases the same; the first that is not: things/one",
        ),
        (
            {"fresh": False, "why": "the reference changed since"},
            "12/12 cases the same, but the reference changed since",
        ),
        ({"cases": 0, "passed": 0}, "no case of it could be played"),
    ],
)
def test_a_part_that_is_not_shown_to_be_the_same_stays_in_python(
    start: Start, spec: Spec, found: dict[str, Any], said: str
) -> None:
    spec.finds(**found)
    run = start(spec.plan())
    run.until("ready")

    [stay] = run.until("settled")

    assert len(stay) == 1
    assert stay[0].startswith(f"things stays in python: {said}")
    assert bindings(run).get(CONTRACT, {"shares": {}})["shares"] == {}
    assert run.get()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            '{"failed": "there is no ferric", "remedy": "get it from the smith"}',
            "there is no ferric; get it from the smith",
        ),
        ("crash", "build-things ended with status 5"),
    ],
)
def test_a_part_that_cannot_be_built_stays_in_python_and_says_what_to_do(
    start: Start, spec: Spec, build: str, said: str
) -> None:
    spec.build.write_text(build)
    run = start(spec.plan())
    run.until("ready")

    notes = heard(run, "stays in python")
    [stay] = run.until("settled")

    assert said in notes[-1]
    assert len(stay) == 1
    assert "other" not in places(run)
    assert run.get()


def test_ctrl_c_in_the_middle_of_a_build_leaves_no_process(start: Start, spec: Spec) -> None:
    spec.build.write_text("hang")
    run = start(spec.plan())
    run.until("ready")
    heard(run, "compiling for ever")
    family = run.family()

    status = run.stop()

    assert status == 0
    assert len(family) == 3  # the shop, the build, and what the build had started
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_a_supervisor_that_is_killed_takes_its_parts_with_it(start: Start, spec: Spec) -> None:
    run = start(spec.plan())
    run.until("settled")
    family = run.family()

    run.process.kill()
    run.process.wait()

    assert len(family) == 2
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_part_that_is_killed_is_started_again_and_stays_bound(start: Start, spec: Spec) -> None:
    run = start(spec.plan())
    run.until("settled")
    first = next(process["pid"] for process in state(run)["processes"] if process["name"] == "things")

    os.kill(first, signal.SIGKILL)
    notes = heard(run, "things is up again")

    assert notes[0] == "things was ended by SIGKILL; it is started again"
    again = next(process for process in state(run)["processes"] if process["name"] == "things")
    assert again["restarts"] == 1
    assert state(run)["parts"][0]["up"]
    assert again["pid"] != first
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_a_part_that_gives_no_sign_of_life_is_replaced(start: Start, spec: Spec) -> None:
    run = start(spec.plan(pulse=0.2, silent=1.0))
    run.until("settled")
    first = next(process["pid"] for process in state(run)["processes"] if process["name"] == "things")

    os.kill(first, signal.SIGSTOP)
    notes = heard(run, "things is up again")

    assert "gave no sign of life for 1 s" in notes[0]
    assert not psutil.pid_exists(first)


def test_a_part_that_fails_again_and_again_is_given_up_and_the_application_stays(start: Start, spec: Spec) -> None:
    run = start(spec.plan(restarts=2, backoff=0.01))
    run.until("settled")
    spec.fail.write_text("")
    before = run.get()

    os.kill(next(each["pid"] for each in state(run)["processes"] if each["name"] == "things"), signal.SIGKILL)
    notes = heard(run, "stays in python")

    assert "things ended 3 times within 60 s" in notes[-1]
    assert bindings(run)[CONTRACT]["shares"] == {}
    assert "other" not in places(run)
    assert state(run)["parts"][0]["stage"] == "given up"
    assert run.get() == before
    assert run.stop() == 0


def test_a_part_ends_after_the_processes_that_may_call_it(start: Start, spec: Spec) -> None:
    run = start(spec.plan())
    run.until("settled")

    run.stop()

    ended = [Path(line.split()[0]).name for line in spec.journal.read_text().splitlines()]
    assert ended == ["toy.py", "part.py"]


def test_a_shape_that_does_not_grow_is_ready_once_its_parts_are_bound(start: Start, spec: Spec) -> None:
    run = start(spec.plan(grows=False))

    run.until("ready")

    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}
    assert run.get()


@pytest.mark.parametrize("what", ["build", "check", "start"])
def test_a_shape_that_does_not_grow_fails_with_the_reason(start: Start, spec: Spec, what: str) -> None:
    if what == "build":
        spec.builds(failed="there is no ferric", remedy="get it from the smith")
    elif what == "check":
        spec.finds(fresh=False, why="the reference changed since")
    else:
        spec.fail.write_text("")
    run = start(spec.plan(grows=False))

    said, remedy, log = run.until("failed")

    expected = {"build": "there is no ferric", "check": "the reference changed since", "start": "before it was ready"}
    assert expected[what] in said
    assert remedy
    assert ("cannot find its key" in log) == (what == "start")
    assert run.process.wait(10) == 1
