"""The public port goes from one gateway to another while a client that never asks twice looks on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.supervise.growing import until
from tests.supervise.raw_client import RawClient
from tests.supervise.toy_native import Toy

from tricorn.supervise.control import ControlClient
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDED = """
[natives.edge]
language = "other"
root = "native"
build = ["sh", "build.sh"]
binary = "front"
sources = ["native"]
gateway = true
methods = ["toy.tally.v1.TallyService/GetTally"]
reads = ["tally"]
connections = 3
[processes.edge]
native = "edge"
[shapes.grow]
processes = ["all", "edge"]
grows = true
[shapes.native]
processes = ["all", "edge"]
"""
PATH = "/api/v1/tally/ada"
BETWEEN = 60
"""Answers between two switches: more than a kept connection waits for its turn."""

pytestmark = pytest.mark.slow


class Toll(Toy):
    """The toy with a native gateway."""

    def choose(self, implementation: str) -> dict[str, Any]:
        """What `bind gateway=` does, without a process of its own."""
        control = ControlClient(Home(self.home))
        return control.call("bind", target="gateway", implementation=implementation, patience=60)

    def gateway(self) -> dict[str, Any]:
        return next(each for each in self.status()["services"] if each["name"] == "gateway")

    def has_port(self) -> tuple[str, int]:
        """Who has the port, and the process."""
        state = Home(self.home).read_state()
        assert state is not None
        process = next(each for each in state["processes"] if each["name"] == state["gateway"]["process"])
        return state["gateway"]["language"], process["pid"]

    @property
    def url(self) -> str:
        state = Home(self.home).read_state()
        assert state is not None
        return str(state["url"])


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toll]:
    toy = Toll(tmp_path_factory.mktemp("handover"), ADDED, "front", "edge")
    toy.environment["TRICORN_RATE_FACTOR"] = "100000"
    yield toy
    toy.at_home("down")


@pytest.fixture
def up(toy: Toll) -> Toll:
    """It runs, and Python has the port."""
    if Home(toy.home).read_state() is None:
        toy.up("--wait", "bound")
    toy.choose("python")
    return toy


def client_of(toy: Toll, rate: float) -> RawClient:
    return RawClient(toy.url, PATH, rate, lambda body: "native" if "4242" in body else "python")


def switch(toy: Toll, client: RawClient, choices: list[str]) -> None:
    for implementation in choices:
        toy.choose(implementation)
        client.until(BETWEEN)


def nothing_lost(client: RawClient, *, by: set[str]) -> None:
    account = client.account
    assert account.failures == []
    assert account.answered == account.asked
    # A machine that is too busy says so, by its deadline or at once; that is an answer, too.
    assert set(account.statuses) <= {200, 503, 504}
    assert account.statuses[200] > account.asked / 2
    assert set(account.by) == by


def test_a_native_gateway_is_bound_by_its_evidence_and_a_line_says_so(toy: Toll) -> None:
    said = toy.up("--wait", "bound")

    gateway = toy.gateway()
    bindings = json.loads((toy.home / "bindings.json").read_text())["bindings"]
    assert "gateway -> other   598/600 requests the same   bound after " in said
    assert (gateway["implementation"], gateway["process"], gateway["place"]) == ("other", "edge", "bound by grow")
    assert gateway["health"] == "serving"
    assert toy.status()["troubles"] == []
    assert bindings["gateway"]["shares"] == {"other": 10_000}
    assert bindings["toy.tally.v1.TallyService/GetTally"]["shares"] == {"other": 10_000}


def test_it_is_told_of_its_views_and_not_of_the_administrators_address(toy: Toll) -> None:
    word = json.loads((toy.home / "edge.word").read_text())["environment"]

    assert "toy_edge_viewer" in word["TRICORN_DATABASE_PUBLISHED"]
    assert word["TRICORN_DATABASE_CONNECTIONS"] == "3"
    assert "DATABASE_URL" not in word


def test_no_answer_is_lost_cut_or_doubled_in_switches_each_way(up: Toll) -> None:
    with client_of(up, 100) as client:
        client.until(BETWEEN)
        switch(up, client, ["other", "python"] * 5)

    nothing_lost(client, by={"python", "native"})
    assert client.account.reconnected >= 10


@pytest.mark.full
def test_no_answer_is_lost_in_twenty_switches_each_way_at_500_requests_a_second(up: Toll) -> None:
    with client_of(up, 500) as client:
        client.until(5 * BETWEEN)
        switch(up, client, ["other", "python"] * 20)

    nothing_lost(client, by={"python", "native"})


def test_a_new_build_takes_the_place_of_the_old_one_and_no_answer_is_lost(up: Toll) -> None:
    up.choose("other")
    _, first = up.has_port()

    with client_of(up, 100) as client:
        client.until(BETWEEN)
        pids = []
        for number in range(4):
            up.writes(build=f"number {number}")
            switch(up, client, ["other"])
            pids.append(up.has_port()[1])
        up.choose("other")

    up.writes()
    nothing_lost(client, by={"native"})
    assert len({first, *pids}) == 5
    assert up.has_port()[1] == pids[-1], "what was not built anew is not replaced"


def test_one_that_dies_is_answered_for_by_python_until_it_is_back(up: Toll) -> None:
    up.choose("other")
    _, first = up.has_port()

    os.kill(first, signal.SIGKILL)
    until(lambda: up.has_port()[1] != first and up.has_port()[0] == "other", 20)

    restarts = next(each["restarts"] for each in up.status()["processes"] if each["name"] == "edge")
    assert restarts == 1
    assert up.gateway()["place"] == "bound by operator"


def test_one_that_stands_still_is_helped_out_by_python_until_it_goes_on(up: Toll) -> None:
    up.choose("other")
    _, standing = up.has_port()

    os.kill(standing, signal.SIGSTOP)
    try:
        meanwhile, still = answers(up), up.has_port()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(standing, signal.SIGCONT)

    assert (meanwhile, still) == ("python", ("other", standing))
    until(lambda: {answers(up) for _ in range(10)} == {"native"}, 30)


def test_one_that_keeps_dying_leaves_the_port_to_python_and_is_tried_again_when_an_operator_says_so(up: Toll) -> None:
    up.choose("other")
    (up.home / "edge.fail").write_text("")
    _, first = up.has_port()

    os.kill(first, signal.SIGKILL)
    until(lambda: answers(up) == "python", 30)
    until(lambda: part(up)["stage"] == "given up", 120)
    status = up.gateway()
    (up.home / "edge.fail").unlink()
    up.choose("other")

    assert status["place"] == "bound to other, which is not there, so python has the port"
    assert answers(up) == "native"


def test_one_that_does_not_start_changes_nothing(up: Toll) -> None:
    (up.home / "edge.fail").write_text("")

    said = up.run("bind", "gateway=other", "--home", str(up.home), check=False)

    (up.home / "edge.fail").unlink()
    assert said.returncode == 1
    assert "edge ended with status 4 before it was ready" in said.stdout + said.stderr
    assert up.has_port()[0] == "python"
    assert answers(up) == "python"


def test_one_whose_address_cannot_be_written_down_does_not_stay(up: Toll) -> None:
    path = up.home / "endpoints.json"
    kept = path.rename(up.home / "aside.json")
    path.mkdir()  # as a full disk: nothing can take its place

    with pytest.raises(SuperviseError, match="cannot be used"):
        up.choose("other")
    path.rmdir()
    kept.rename(path)

    left = [
        each
        for each in psutil.process_iter(["cmdline"])
        if f"{up.home}/build/edge/front" in (each.info["cmdline"] or ())
    ]
    assert left == []
    assert {answers(up) for _ in range(10)} == {"python"}


def test_a_core_that_dies_comes_back_without_the_port(up: Toll) -> None:
    up.choose("other")
    core = next(each["pid"] for each in up.status()["processes"] if each["name"] == "all")

    with client_of(up, 50) as client:
        client.until(20)
        os.kill(core, signal.SIGKILL)
        until(lambda: _is_up(up, "all", core), 30)
        client.until(40)

    nothing_lost(client, by={"native"})


def test_what_an_operator_chose_holds_over_restarts(up: Toll) -> None:
    up.choose("other")
    up.at_home("down")
    up.up("--wait", "bound")
    native = up.has_port()[0]
    up.at_home("rollback", "gateway")
    up.at_home("down")
    up.up("--wait", "bound")

    assert (native, up.has_port()[0]) == ("other", "python")
    assert up.gateway()["place"] == "bound by operator"
    assert [each for each in up.status()["processes"] if each["name"] == "edge"] == []


def test_given_back_to_the_platform_it_is_bound_by_evidence_and_not_without(up: Toll) -> None:
    up.at_home("bind", "gateway=auto")
    until(lambda: up.gateway()["place"] == "bound by grow", 30)
    bound = up.has_port()[0]
    evidence = up.folder / "evidence" / "gateway.other.json"
    good = evidence.read_text()
    evidence.unlink()

    up.at_home("bind", "gateway=auto")
    until(lambda: up.has_port()[0] == "python", 30)
    place = up.gateway()["place"]
    evidence.write_text(good)

    assert bound == "other"
    assert "nobody has compared the two gateways" in place


def test_one_that_was_built_anew_while_it_ran_has_the_port_again_only_by_evidence(up: Toll) -> None:
    up.at_home("bind", "gateway=auto")
    until(lambda: up.gateway()["place"] == "bound by grow", 30)
    up.writes(build="unseen")
    up.build()

    os.kill(up.has_port()[1], signal.SIGKILL)
    until(lambda: "changed since the evidence" in up.gateway()["place"], 60)
    who, methods = up.has_port()[0], json.loads((up.home / "bindings.json").read_text())["bindings"]
    up.vouch()
    up.at_home("bind", "gateway=auto")
    until(lambda: up.gateway()["place"] == "bound by grow", 60)
    again = build_of(up)
    up.writes()
    up.vouch()

    assert who == "python"
    assert methods["toy.tally.v1.TallyService/GetTally"]["shares"] == {}
    assert again == "unseen"


def test_one_that_an_operator_chose_keeps_the_port_against_evidence_and_it_is_said(up: Toll) -> None:
    up.choose("other")
    _, first = up.has_port()
    up.writes(build="unseen")
    up.build()

    os.kill(first, signal.SIGKILL)
    until(lambda: "without evidence" in up.gateway()["place"], 60)
    place, who = up.gateway()["place"], up.has_port()[0]
    up.writes()

    assert who == "other"
    assert place.startswith("bound by operator; without evidence: the other gateway changed since the evidence")


def test_a_rollback_does_not_wait_for_a_build_and_has_the_last_word(up: Toll) -> None:
    go = up.folder / "go"
    script = up.folder / "native" / "build.sh"
    said = script.read_text()
    script.write_text(f"while [ ! -e {go} ]; do sleep 0.1; done; {said}")

    with ThreadPoolExecutor(1) as pool:
        choosing = pool.submit(up.choose, "other")
        until(lambda: part(up)["stage"] == "building", 30)
        up.choose("python")
        still_building = not choosing.done()
        go.write_text("")
        refused = choosing.exception(60)
    script.write_text(said)

    assert still_building
    assert "python was chosen for the gateway meanwhile" in str(refused)
    assert up.has_port()[0] == "python"


def test_the_port_cannot_be_divided(up: Toll) -> None:
    said = up.run("bind", "gateway=other:25", "--home", str(up.home), check=False)

    assert "the public port cannot be divided" in said.stdout + said.stderr


def test_down_leaves_nothing_of_it_running(up: Toll) -> None:
    up.choose("other")
    with client_of(up, 50) as client:
        client.until(20)
        up.at_home("down")

    left = [each for each in psutil.process_iter(["cmdline"]) if str(up.home) in " ".join(each.info["cmdline"] or ())]
    assert left == []


def part(toy: Toll) -> dict[str, Any]:
    return next(each for each in toy.status()["parts"] if each["name"] == "edge")


def answers(toy: Toll) -> str:
    """Who answers a new connection now."""
    with urllib.request.urlopen(toy.url + PATH, timeout=30) as answer:  # noqa: S310 - our own
        return "native" if json.loads(answer.read())["notes"] == "4242" else "python"


def build_of(toy: Toll) -> str:
    """Which build of the native gateway answers a new connection now."""
    with urllib.request.urlopen(toy.url + PATH, timeout=30) as answer:  # noqa: S310 - our own
        return str(json.loads(answer.read())["build"])


def _is_up(toy: Toll, process: str, before: int) -> bool:
    said = next(each for each in toy.status()["processes"] if each["name"] == process)
    return said["pid"] not in {None, before} and said["health"] == "serving"
