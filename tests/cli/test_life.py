"""An application from `gen` to `down`, through the command line alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TOY = ROOT / "tests" / "toy" / "app"

pytestmark = pytest.mark.slow


class Application:
    """A copy of the toy application with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "toy"
        self.home = folder / "home"
        shutil.copytree(TOY, self.folder, ignore=shutil.ignore_patterns("__pycache__", "toy_proto"))
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "TRICORN_HOME"}},
            "PYTHONPATH": str(ROOT / "src"),
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-P", "-m", "tricorn", "--app", str(self.folder), *words]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def at_home(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(*words, "--home", str(self.home), check=check)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    application = Application(tmp_path_factory.mktemp("toy"))
    application.run("gen")
    application.at_home("up", "--detach", "--port", "0")
    yield application
    application.at_home("down")


def status(application: Application) -> dict[str, object]:
    said: dict[str, object] = json.loads(application.at_home("status", "--json").stdout)
    return said


def test_status_lists_services_and_processes_with_their_memory(toy: Application) -> None:
    said = json.loads(toy.at_home("status", "--json").stdout)

    assert said["url"].startswith("http://127.0.0.1:")
    assert said["shape"] == "python"
    notes = next(service for service in said["services"] if service["name"] == "notes")
    assert (notes["implementation"], notes["process"], notes["health"]) == ("python", "all", "serving")
    assert {process["name"] for process in said["processes"]} == {"supervisor", "postgres", "all"}
    assert all(process["rssBytes"] > 1_000_000 for process in said["processes"])
    if sys.platform == "linux":
        assert all(0 < process["pssBytes"] <= process["rssBytes"] for process in said["processes"])
    else:
        assert all(process["pssBytes"] is None for process in said["processes"])


def test_a_second_start_in_the_same_home_says_who_runs_and_where(toy: Application) -> None:
    done = toy.at_home("up", "--detach", "--port", "0", check=False)

    assert done.returncode == 1
    assert str(status(toy)["url"]) in done.stderr
    assert "tricorn down" in done.stderr


def test_a_taken_port_is_named_and_nothing_is_left_running(toy: Application, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        done = toy.run("up", "--detach", "--port", port, "--home", str(tmp_path / "other"), check=False)

    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "other" / "state.json").exists()


def test_logs_and_the_database_can_be_looked_into_while_it_runs(toy: Application) -> None:
    assert "ready" in toy.at_home("logs", "supervisor").stdout
    assert "PostgreSQL 18" in toy.at_home("db", "status").stdout
    assert "up to date" in toy.at_home("db", "migrate").stdout
    assert "42" in toy.at_home("db", "psql", "-tc", "select 6 * 7").stdout
    assert "notes" in toy.at_home("events", "status").stdout


def test_a_database_in_use_is_not_reset(toy: Application) -> None:
    done = toy.at_home("db", "reset", "--yes", check=False)

    assert done.returncode == 1
    assert "tricorn down" in done.stderr


def test_a_data_directory_of_another_version_is_left_alone(toy: Application, tmp_path: Path) -> None:
    data = tmp_path / "home" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9.6\n")

    done = toy.run("up", "--detach", "--port", "0", "--home", str(tmp_path / "home"), check=False)

    assert done.returncode == 1
    assert "PostgreSQL 9.6" in done.stderr
    assert sorted(path.name for path in data.iterdir()) == ["PG_VERSION"]


def test_in_the_foreground_an_interrupt_stops_all_of_it_and_leaves_nothing(toy: Application, tmp_path: Path) -> None:
    home = tmp_path / "front"
    with subprocess.Popen(
        toy.command("up", "--port", "0", "--home", str(home)),
        env=toy.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout is not None
        said = next(line for line in running.stdout if "answers" in line)
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        running.stdout.read()
        code = running.wait(60)

    assert "Ctrl-C stops it" in said
    assert code == 0
    assert {process.name() for process in family if process.is_running()} == set()
    assert len(family) >= 2


@pytest.mark.full
def test_after_down_the_home_can_be_reset_and_filled_again(toy: Application, tmp_path: Path) -> None:
    home = str(tmp_path / "again")
    toy.run("up", "--detach", "--port", "0", "--home", home)
    toy.run("down", "--home", home)

    assert toy.run("db", "reset", "--yes", "--home", home).stdout == "deleted\n"
    toy.run("up", "--detach", "--port", "0", "--home", home)
    assert toy.run("down", "--home", home).stdout == "stopped\n"
