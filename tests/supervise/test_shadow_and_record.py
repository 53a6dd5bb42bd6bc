"""`shadow`, `record` and `replay` on an application that runs with a native part, driven by their commands."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.supervise.toy_native import TALLY, Toy

from tricorn.prove.errors import ProveError
from tricorn.prove.orders import PARTS
from tricorn.prove.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

TWIN = "who%20answers%3F"
"""The author of whom the native part tells another tally than Python."""


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    toy = Toy(tmp_path_factory.mktemp("shadow"), TALLY)
    toy.up("--wait", "bound")
    toy.at_home("bind", "tally=python")
    yield toy
    toy.at_home("down")


def found(toy: Toy) -> dict[str, Any]:
    """What shadow found so far; what was not yet written is nothing."""
    methods = json.loads(toy.at_home("shadow", "tally", "--json"))["methods"]
    return methods[0] if methods else {"compared": 0, "different": 0, "reversed": 0, "incomparable": {}}


def until(toy: Toy, **figures: int) -> dict[str, Any]:
    toy.until(lambda: all(found(toy)[name] >= figure for name, figure in figures.items()))
    return found(toy)


def test_shadow_compares_live_calls_and_shows_what_differs(toy: Toy) -> None:
    said = toy.at_home("shadow", "tally", "--sample", "100%")
    answers = [toy.tally(author) for author in ("nobody", "ada", TWIN)]

    report = until(toy, compared=3)

    assert "100 % of the calls of GetTally are compared with other" in said
    assert answers == ["0", "0", "0"]
    assert (report["same"], report["different"], report["fields"]) == (2, 1, {"notes": 1})
    [example] = report["examples"]
    assert example["differences"] == [{"path": "notes", "expected": "0", "actual": "4242"}]
    words = shlex.split(example["again"])
    assert words[1:4] == ["verify", "tally/GetTally", "--request"]
    assert json.loads(words[4]) == {"author": "who answers?"}
    assert "differs: notes: 1 times" in toy.at_home("shadow", "tally", "--report")
    assert "100 % compared with other" in toy.service()["place"]
    assert "shadow found a difference" in toy.at_home("logs", "all")


def test_once_the_native_part_answers_the_reference_gets_the_copies(toy: Toy) -> None:
    before = found(toy)

    toy.at_home("bind", "tally=other")
    answer = toy.tally(TWIN)

    report = until(toy, reversed=1)
    assert answer == "4242"
    assert report["different"] == before["different"] + 1


def test_a_native_part_that_is_stopped_costs_callers_nothing_while_it_is_shadowed(toy: Toy) -> None:
    toy.at_home("bind", "tally=python")
    pid = toy.process("tally")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        answers = [toy.tally("ada") for _ in range(5)]
        toy.until(lambda: any(why.startswith("candidate") for why in found(toy)["incomparable"]))
    finally:
        with contextlib.suppress(ProcessLookupError):  # the supervisor has put another in its place
            os.kill(pid, signal.SIGCONT)

    assert answers == ["0"] * 5


def test_what_was_recorded_before_and_after_a_process_was_killed_is_played_against_either(
    toy: Toy, tmp_path: Path
) -> None:
    def written() -> list[int]:
        """Calls in each part, of which there is one for each start."""
        with contextlib.suppress(ProveError):  # it has only just begun
            parts = (toy.home / PARTS).glob("*/all-*")
            return sorted(len(list(Recording.open(part).calls())) for part in parts)
        return []

    out = tmp_path / "tally.rec"
    command = [sys.executable, "-P", "-m", "tricorn", "--app", str(toy.folder), "record", "tally", "--out", str(out)]
    with subprocess.Popen(
        [*command, "--for", "10m", "--home", str(toy.home)], env=toy.environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            toy.until(lambda: written() == [0])
            toy.tally("nobody")
            toy.until(lambda: written() == [1])
            state = json.loads((toy.home / "state.json").read_text())
            os.kill(next(each["pid"] for each in state["processes"] if each["name"] == "all"), signal.SIGKILL)
            toy.until(lambda: written() == [0, 1])
            toy.tally(TWIN)
        finally:
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=60)

    same = toy.run("replay", str(out), "--json", "--home", str(toy.home))
    other = toy.run("replay", str(out), "--json", "--against", "other", "--home", str(toy.home), check=False)
    alone = toy.run("replay", str(out), "--home", str(tmp_path / "nowhere"), check=False)

    assert process.returncode == 0
    assert "all was started anew 1 times meanwhile" in shown
    assert (json.loads(same.stdout)["same"], json.loads(same.stdout)["different"]) == (2, 0)
    assert other.returncode == 1
    assert json.loads(other.stdout)["fields"] == {"notes": 1}
    assert "no python implementation of toy.tally.v1.TallyService runs in" in alone.stderr


def test_it_ends_when_it_is_told_to(toy: Toy) -> None:
    toy.at_home("shadow", "tally", "--stop")
    before = found(toy)

    toy.tally(TWIN)
    again = toy.run("shadow", "tally", "--stop", "--home", str(toy.home), check=False)

    assert found(toy)["different"] == before["different"]
    assert "tally is not shadowed" in again.stderr
    assert "compared with" not in toy.service()["place"]
