"""The toy application with a native part: built, checked and bound by `up`, and what operators and trouble make of it."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.supervise.toy_native import TALLY, Toy

from tricorn.supervise.control import ControlClient
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    toy = Toy(tmp_path_factory.mktemp("native"), TALLY)
    yield toy
    toy.at_home("down")


def test_contexts_in_processes_of_their_own_find_each_other(toy: Toy) -> None:
    toy.up("--shape", "apart")
    url = toy.status()["url"]
    note = urllib.request.Request(  # noqa: S310 - our own
        f"{url}/api/v1/notes", b'{"author": "ada", "text": "hello"}', {"content-type": "application/json"}
    )

    with urllib.request.urlopen(note, timeout=10) as answer:  # noqa: S310 - our own
        status = answer.status
    toy.until(lambda: toy.tally("ada") == "1")

    services = {each["name"]: each["process"] for each in toy.status()["services"]}
    toy.at_home("down")
    assert status == 201
    assert services == {"gateway": "writing", "notes": "writing", "keys": "writing", "tally": "counting"}


def test_it_grows_and_a_line_says_what_was_proven_and_gained(toy: Toy) -> None:
    said = toy.up("--wait", "bound")

    service = toy.service()
    assert "tally -> other   2/2 cases the same   a tally 3 ms -> 1 ms   bound after " in said
    assert toy.who() == "other"
    assert (service["implementation"], service["process"], service["share"]) == ("other", "tally", 10_000)
    assert service["health"] == "serving"
    assert service["place"] == "bound by grow"
    assert {each["name"] for each in toy.status()["processes"]} == {"supervisor", "postgres", "all", "tally"}
    assert "tally" in toy.at_home("logs", "supervisor")


def test_a_killed_part_is_replaced_and_nobody_notices(toy: Toy) -> None:
    first = toy.process("tally")["pid"]

    os.kill(first, signal.SIGKILL)
    answers = [toy.who() for _ in range(3)]
    toy.until(lambda: toy.process("tally")["pid"] not in {None, first} and toy.who() == "other")

    assert set(answers) <= {"python", "other"}
    assert toy.process("tally")["restarts"] == 1


def test_a_second_start_builds_nothing_asks_no_case_again_and_binds_again(toy: Toy) -> None:
    toy.at_home("down")

    said = toy.up("--wait", "bound")

    assert "was built" not in said
    assert (toy.home / "build" / "tally" / "times").read_text() == "built\n"
    assert [each["asked"] for each in toy.logged("supervisor", "bound") if "asked" in each] == [2, 0]
    assert toy.who() == "other"


def test_what_an_operator_bound_stays_over_restarts_until_it_is_given_back(toy: Toy) -> None:
    toy.at_home("rollback", "tally")
    toy.at_home("down")
    said = toy.up("--wait", "bound")
    stays = toy.who()

    toy.at_home("bind", "tally=auto")
    toy.until(lambda: toy.who() == "other")

    assert "tally is answered as an operator chose" in said
    assert stays == "python"
    assert toy.service()["place"] == "bound by grow"


def test_a_program_that_was_built_anew_answers_nobody_before_it_was_looked_at(toy: Toy) -> None:
    url, first = toy.status()["url"], toy.process("tally")["pid"]
    toy.writes(wrong=True)
    toy.build()

    os.kill(first, signal.SIGKILL)
    toy.until(lambda: toy.process("tally")["pid"] not in {None, first})
    tallies = {toy.tally("nobody", url) for _ in range(20)}
    toy.until(lambda: "0/2 cases the same" in toy.service()["place"])
    toy.writes()
    toy.build()
    toy.at_home("bind", "tally=auto")
    toy.until(lambda: toy.who() == "other")

    assert tallies == {"0"}
    assert toy.tally("nobody", url) == "0", "what runs is what was looked at"


def test_what_is_rehearsed_is_what_was_built_last(toy: Toy) -> None:
    toy.at_home("rollback", "tally")
    toy.writes(build="second")
    toy.vouch()
    toy.build()
    older = toy.process("tally")["pid"]

    said = toy.at_home("rehearse", "tally")

    newer = toy.process("tally")["pid"]
    toy.writes()
    toy.vouch()
    toy.build()
    toy.at_home("bind", "tally=auto")
    toy.until(lambda: toy.who() == "other")
    assert "; 0 of " in said
    assert newer != older


def test_what_nobody_verified_is_not_rehearsed_on_those_who_call(toy: Toy) -> None:
    toy.at_home("rollback", "tally")
    toy.writes(wrong=True)
    toy.build()
    control = ControlClient(Home(toy.home))

    typed = toy.run("rehearse", "tally", "--home", str(toy.home), check=False)
    with pytest.raises(SuperviseError, match="tally is not shown to be the same in other: the other sources changed"):
        control.call("rehearse", target="toy.tally.v1.TallyService", to="python", language="other")
    toy.writes()
    toy.build()
    toy.at_home("bind", "tally=auto")
    toy.until(lambda: toy.who() == "other")

    assert typed.returncode == 1
    assert "tally is not shown to be the same in other: the other sources changed" in typed.stderr


def test_evidence_for_newer_sources_says_nothing_of_a_program_of_older_ones(toy: Toy) -> None:
    older = toy.process("tally")["pid"]
    toy.writes(build="third")
    toy.build()
    toy.writes(build="fourth")
    toy.vouch()

    os.kill(older, signal.SIGKILL)
    toy.until(lambda: "built of other sources" in toy.service()["place"])
    meanwhile = toy.who()
    toy.at_home("bind", "tally=auto")
    toy.until(lambda: toy.who() == "other")

    running = (toy.home / "build" / "tally" / "tally").read_text()
    toy.writes()
    toy.vouch()
    toy.at_home("bind", "tally=auto")
    toy.until(lambda: toy.who() == "other")
    assert meanwhile == "python"
    assert "the fourth build" in running


def test_stale_evidence_leaves_it_in_python_and_says_so(toy: Toy) -> None:
    toy.at_home("down")
    evidence = toy.folder / "evidence" / "tally.other.json"
    good = evidence.read_text()
    fingerprints = json.loads(good)["fingerprints"]
    evidence.write_text(good.replace(fingerprints["reference"], "0" * 64))

    said = toy.up("--wait", "bound", check=False)

    evidence.write_text(good)
    assert "tally stays in python: 2/2 cases the same, but the reference changed since" in said
    assert "tricorn verify tally" in said
    assert toy.who() == "python"
    assert "the reference changed" in toy.service()["place"]
    assert toy.process("tally")["pid"]


def test_a_failing_case_leaves_it_in_python_and_names_the_case(toy: Toy) -> None:
    toy.at_home("down")
    toy.writes(wrong=True)

    said = toy.up("--wait", "bound", check=False)

    toy.writes()
    assert "tally stays in python: 0/2 cases the same; the first that is not: tally: nobody has written nothing" in said
    assert toy.who() == "python"


def test_the_native_shape_is_ready_once_all_is_bound_and_else_fails_with_the_reason(toy: Toy) -> None:
    toy.at_home("down")
    said = toy.up("--shape", "native")
    bound = toy.who()
    toy.at_home("down")
    toy.writes(wrong=True)

    failed = toy.run("up", "--detach", "--shape", "native", "--port", "0", "--home", str(toy.home), check=False)

    toy.writes()
    assert "tally -> other" in said
    assert bound == "other"
    assert failed.returncode == 1
    assert "shape native is not complete: tally stays in python: 0/2 cases the same" in failed.stderr
    left = [each for each in psutil.process_iter(["cmdline"]) if str(toy.home) in (each.info["cmdline"] or ())]
    assert left == []
