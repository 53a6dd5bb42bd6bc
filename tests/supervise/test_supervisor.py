"""A supervisor with real processes and real signals."""

from __future__ import annotations

import json
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]  # conftest's `start`; gives a conftest.Run

SHOP = {"name": "shop", "gateway": True}


def test_a_request_is_answered_over_the_inherited_socket_once_it_is_ready(start: Start) -> None:
    run = start()

    [state] = run.until("ready")

    names = {process["name"]: process["pid"] for process in state["processes"]}
    assert run.get() == names["shop"]
    assert names["supervisor"] == run.process.pid


def test_the_state_file_says_what_runs_while_it_runs_and_is_gone_afterwards(start: Start) -> None:
    run = start()
    run.until("ready")
    state = json.loads((run.home / "state.json").read_text())

    status = run.stop()

    assert (state["pid"], state["url"], state["phase"]) == (run.process.pid, run.url, "ready")
    assert status == 0
    assert not (run.home / "state.json").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_and_leaves_nothing(start: Start, number: signal.Signals) -> None:
    run = start()
    run.until("ready")
    run.get("/fork")
    family = run.family()

    status = run.stop(number)

    assert status == 0
    assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=5)
    assert alive == []


def test_processes_stop_in_the_reverse_order_of_their_start(start: Start, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    names = ["first", "second", "third"]
    processes: list[dict[str, Any]] = [{"name": name, "arguments": ["--journal", str(journal)]} for name in names]
    processes[-1]["gateway"] = True
    run = start({"processes": processes})
    [state] = run.until("ready")
    pids = {process["name"]: process["pid"] for process in state["processes"]}

    run.stop()

    ended = [int(line.split()[1]) for line in journal.read_text().splitlines()]
    assert ended == [pids["third"], pids["second"], pids["first"]]


def test_a_process_that_ignores_the_signal_is_killed_after_its_deadline(start: Start) -> None:
    run = start({"processes": [{**SHOP, "arguments": ["--stubborn"]}], "limits": {"stop": 0.3}})
    run.until("ready")
    family = run.family()

    assert run.stop() == 0
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_a_second_signal_does_not_wait_for_the_deadline(start: Start) -> None:
    run = start({"processes": [{**SHOP, "arguments": ["--stubborn"]}], "limits": {"stop": 3600}})
    run.until("ready")

    run.process.send_signal(signal.SIGINT)
    run.until("note")
    status = run.stop()

    assert status == 0


def test_a_process_that_crashed_is_started_again_on_the_same_port(start: Start) -> None:
    run = start()
    run.until("ready")
    first = run.get()

    run.crash()
    assert "status 3" in run.until("note")[0]
    assert "up again" in run.until("note")[0]

    assert run.get() != first


def test_a_request_that_comes_while_it_is_started_again_waits_and_is_answered(start: Start) -> None:
    run = start({"processes": [SHOP], "limits": {"backoff": 0.5}})
    run.until("ready")
    first = run.get()

    run.crash()
    run.until("note")

    assert run.get() != first


def test_what_a_crashed_process_had_started_does_not_outlive_it(start: Start) -> None:
    run = start()
    run.until("ready")
    orphan = psutil.Process(run.get("/fork"))

    run.crash()
    run.until("note")

    assert psutil.wait_procs([orphan], timeout=5)[1] == []


def test_a_process_that_crashes_again_and_again_ends_the_whole_with_its_last_words(start: Start) -> None:
    run = start({"processes": [SHOP], "limits": {"restarts": 2, "backoff": 0.01}})
    run.until("ready")

    for _ in range(2):
        run.crash()
        run.until("note")
        run.until("note")
    run.crash()
    what, remedy, _ = run.until("failed")

    assert "shop ended 3 times" in what
    assert "shop.jsonl" in remedy
    assert run.process.wait(10) == 1


def test_a_process_that_fails_at_the_start_ends_it_with_the_cause_and_the_log(start: Start) -> None:
    run = start({"processes": [{**SHOP, "arguments": ["--fail"]}]})

    what, remedy, log = run.until("failed")

    assert what == "shop ended with status 4 before it was ready"
    assert "tricorn logs shop" in remedy
    assert "the toy cannot find its key" in log
    assert run.process.wait(10) == 1


def test_what_prepares_has_ended_before_a_process_begins(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "prepared"
    run = start({"processes": [SHOP], "prepare": ["--once", str(mark)]})

    assert run.until("step") == ["filling", 1, 2]
    run.until("ready")

    assert mark.read_text() == "done"
    assert run.get("/environment") == "postgresql://toy/toys"


def test_a_preparation_that_fails_stops_the_start(start: Start) -> None:
    run = start({"processes": [SHOP], "prepare": ["--fail"]})

    what, _, log = run.until("failed")

    assert what == "prepare ended with status 4"
    assert "the toy cannot find its key" in log
    assert run.process.wait(10) == 1


def test_stopping_during_the_start_leaves_nothing(start: Start) -> None:
    run = start({"processes": [{"name": "a"}, SHOP]})
    run.until("stage")

    status = run.stop()

    assert status == 0
    assert not (run.home / "state.json").exists()


def test_a_killed_supervisor_takes_its_processes_with_it(start: Start) -> None:
    run = start()
    run.until("ready")
    family = run.family()

    run.process.kill()
    run.process.wait()

    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_a_home_has_one_supervisor_and_the_second_is_told_where_the_first_answers(start: Start) -> None:
    first = start()
    first.until("ready")

    second = start()
    what, remedy, _ = second.until("failed")

    assert f"process {first.process.pid}" in what
    assert first.url in what
    assert "tricorn down" in remedy
    assert second.process.wait(10) == 1
    assert first.get()


def test_after_a_kill_the_home_can_be_used_again(start: Start) -> None:
    first = start()
    first.until("ready")
    first.process.kill()
    first.process.wait()

    second = start()
    second.until("ready")

    assert second.get()


def test_a_taken_port_is_said_with_another_to_try(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        run = start(port=port)
        what, remedy, _ = run.until("failed")

    assert f"port {port} of 127.0.0.1 is taken" in what
    assert f"process {os.getpid()}" in what
    assert "--port" in remedy
    assert run.process.wait(10) == 1
