"""What becomes of native parts over time: over restarts, when they are built anew, given up, given back, and looked at again."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.supervise.growing import CONTRACT, Spec, ask, bindings, heard, pid, places, state, until, was_bound

from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Any]  # conftest's `start`; gives a conftest.Run


def test_one_that_was_given_up_is_kept_up_again_when_it_was_given_back_to_the_platform(
    start: Start, spec: Spec
) -> None:
    run = start(spec.plan(restarts=2, backoff=0.01))
    run.until("settled")
    spec.fail.write_text("")
    os.kill(pid(run), signal.SIGKILL)
    heard(run, "stays in python")
    spec.fail.unlink()

    ask(run, "bind", target=CONTRACT, implementation="auto")
    heard(run, "bound after")
    os.kill(pid(run), signal.SIGKILL)

    assert heard(run, "things is up again")
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_one_that_cannot_be_started_for_a_while_ends_nothing_and_is_looked_at_when_it_is_there(
    start: Start, spec: Spec
) -> None:
    run = start(spec.plan(restarts=1000, backoff=0.01, longest_backoff=0.1))
    run.until("settled")
    away = spec.program.rename(spec.program.with_suffix(".away"))

    os.kill(pid(run), signal.SIGKILL)
    heard(run, "things was ended by SIGKILL")
    heard(run, "things was ended by SIGKILL")
    answered, bound = run.get(), bindings(run)[CONTRACT]["shares"]
    away.rename(spec.program)
    heard(run, "bound after")

    assert answered
    assert bound == {}
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_one_that_is_given_up_where_nothing_can_be_written_ends_nothing(start: Start, spec: Spec) -> None:
    run = start(spec.plan(restarts=2, backoff=0.01))
    run.until("settled")
    spec.fail.write_text("")
    for name in ("bindings.json", "endpoints.json"):
        (run.home / name).unlink()
        (run.home / name).mkdir()  # as a full disk: nothing can take its place

    os.kill(pid(run), signal.SIGKILL)
    heard(run, "stays in python")

    assert run.get()
    assert state(run)["parts"][0]["stage"] == "given up"
    assert run.stop() == 0


def test_one_that_is_given_back_while_it_is_built_is_built_and_started_once(start: Start, spec: Spec) -> None:
    spec.build.write_text(f'wait {spec.go}\n{{"built": 3}}')
    run = start(spec.plan())
    run.until("ready")
    heard(run, "waiting")

    ask(run, "rollback", target=CONTRACT)
    ask(run, "bind", target=CONTRACT, implementation="auto")
    spec.go.write_text("")
    run.until("settled")

    assert (run.home / "logs" / "build-things.jsonl").read_text() == "waiting\n"
    assert len(run.family()) == 2  # the shop and the part
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_a_look_at_what_was_built_anew_is_brought_to_its_end_when_whoever_asked_has_left(
    start: Start, spec: Spec
) -> None:
    run = start(spec.plan())
    run.until("settled")
    spec.makes("second")
    spec.finds(waits=True)

    with pytest.raises(SuperviseError, match="did not answer"):
        ask(run, "rehearse", target=CONTRACT, to="python", language="other", patience=1)
    until(lambda: bindings(run)[CONTRACT]["shares"] == {})
    spec.go.write_text("")
    heard(run, "bound after")

    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_one_that_is_built_anew_twice_is_looked_at_as_it_was_built_last(start: Start, spec: Spec) -> None:
    run = start(spec.plan())
    run.until("settled")
    spec.makes("second")
    spec.finds(waits=True)
    first = pid(run)
    os.kill(first, signal.SIGKILL)
    until(lambda: pid(run) != first and state(run)["parts"][0]["stage"] == "checking")
    second = pid(run)
    spec.makes("third")

    spec.go.write_text("")
    heard(run, "bound after")

    assert pid(run) != second
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_to_be_replaced_by_a_newer_build_is_no_failure(start: Start, spec: Spec) -> None:
    run = start(spec.plan(restarts=1))
    run.until("settled")
    pids = [pid(run)]

    for build in ("second", "third", "fourth"):
        spec.makes(build)
        ask(run, "bind", target=CONTRACT, implementation="auto")
        heard(run, "bound after")
        pids.append(pid(run))

    assert len(set(pids)) == 4
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_what_is_looked_at_is_what_runs_also_when_it_is_built_anew_meanwhile(start: Start, spec: Spec) -> None:
    spec.finds(waits=True)
    run = start(spec.plan())
    run.until("ready")
    until(lambda: state(run)["parts"][0]["stage"] == "checking")
    first = pid(run)
    spec.makes("second")

    spec.go.write_text("")
    run.until("settled")

    assert pid(run) != first
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}


def test_what_an_operator_bound_or_rolled_back_stays_over_restarts(start: Start, spec: Spec) -> None:
    was_bound(spec, {CONTRACT: {"shares": {}, "generation": 1, "by": "operator", "auto": False}})

    run = start(spec.plan())
    run.until("settled")

    assert bindings(run)[CONTRACT]["shares"] == {}
    assert places(run)["other"]


METHOD = f"{CONTRACT}/GetThing"
MOVED = {"cutover": "done", "to": "other"}


@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "stale"])
@pytest.mark.parametrize("target", [CONTRACT, METHOD], ids=["contract", "method"])
def test_what_was_cut_over_is_bound_again_as_far_as_evidence_speaks_for_it(
    start: Start, spec: Spec, target: str, *, fresh: bool
) -> None:
    chosen = {"shares": {}, "generation": 1, "by": "operator", "auto": False}
    moved = {"shares": {"other": 10_000}, "generation": 2, "by": "cutover", "auto": True, "record": MOVED}
    was_bound(spec, {CONTRACT: chosen, target: moved})
    spec.finds(fresh=fresh, why="" if fresh else "the reference changed since")

    run = start(spec.plan())
    notes = heard(run, "12/12")
    run.until("settled")

    said = {True: f"{'things' if target == CONTRACT else 'things/GetThing'} -> other   12/12", False: "stays in python"}
    assert said[fresh] in notes[-1]
    assert ("the reference changed since" in notes[-1]) != fresh
    assert bindings(run)[target]["shares"] == ({"other": 10_000} if fresh else {})
    if target == METHOD:
        assert bindings(run)[CONTRACT]["shares"] == {}


def test_what_an_operator_bound_holds_against_evidence_and_not_in_silence(start: Start, spec: Spec) -> None:
    was_bound(spec, {CONTRACT: {"shares": {"other": 10_000}, "generation": 1, "by": "operator", "auto": False}})
    spec.finds(fresh=False, why="the reference changed since")

    run = start(spec.plan())
    notes = heard(run, "12/12")
    [stay] = run.until("settled")

    assert notes[-1] == (
        "things -> other as an operator chose, without evidence: 12/12 cases the same, but the reference changed since"
    )
    assert stay == []
    assert bindings(run)[CONTRACT]["shares"] == {"other": 10_000}
    assert state(run)["parts"][0]["doubts"] == {CONTRACT: "the reference changed since"}


def test_what_was_bound_without_an_operator_is_python_s_until_it_was_checked_again(start: Start, spec: Spec) -> None:
    first = start(spec.plan())
    first.until("settled")
    first.stop()
    spec.build.write_text("hang")

    second = start(spec.plan())
    second.until("ready")

    assert bindings(second)[CONTRACT]["shares"] == {}
    assert "other" not in places(second)
