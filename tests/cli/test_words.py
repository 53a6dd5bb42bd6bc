"""From the words that are typed to what is said, without anything that runs long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.cli.application import split_home
from tricorn.cli.console import readable
from tricorn.cli.logs import Tail, last_lines
from tricorn.cli.main import explain, main, overview
from tricorn.cli.registry import COMMANDS
from tricorn.cli.test import find_part, ordered, side_by_side, split_options
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.progress import PipeProgress, replay

ROOT = Path(__file__).parents[2]


def tricorn(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "tricorn", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_alone_it_explains_itself_on_one_screen() -> None:
    shown = overview()

    assert len(shown.splitlines()) <= 40
    assert max(map(len, shown.splitlines())) <= 100
    assert all(f"  {name} " in shown for name, command in COMMANDS.items() if command.group)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_every_way_to_ask_for_help_gives_the_same_screen(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == overview()


def test_the_first_screen_loads_no_library() -> None:
    program = "import sys; from tricorn.cli import main; main([]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert {"typer", "rich", "asyncio", "pydantic", "structlog"} & set(done.stderr.split()) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = tricorn(name, "--help")

    assert done.returncode == 0, done.stderr
    assert name in done.stdout


def test_an_unknown_command_gets_a_suggestion() -> None:
    done = tricorn("statsu")

    assert done.returncode == 2
    assert "there is no command 'statsu'" in done.stderr
    assert "did you mean `tricorn status`?" in done.stderr


def test_an_unknown_option_is_told_with_where_to_read() -> None:
    done = tricorn("up", "--prot", "1")

    assert done.returncode == 2
    assert "--prot" in done.stderr
    assert "up --help" in done.stderr


def test_a_folder_without_an_application_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = tricorn("--app", str(tmp_path), "up", "--home", str(tmp_path / "home"))

    assert done.returncode == 1
    assert "no tricorn.toml in" in done.stderr
    assert "--app" in done.stderr


def test_an_unknown_shape_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    done = tricorn("up", "--shape", "sideways", "--home", str(tmp_path / "home"))

    assert done.returncode == 1
    assert done.stderr == "error: there is no shape 'sideways'\n  -> choose one of: python, native, grow\n"


def test_with_nothing_running_status_fails_and_down_does_not(tmp_path: Path) -> None:
    status, down = tricorn("status", "--home", str(tmp_path)), tricorn("down", "--home", str(tmp_path))

    assert (status.returncode, down.returncode) == (1, 0)
    assert f"nothing runs in {tmp_path}" in status.stdout + down.stdout


def test_output_into_a_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-P", "-m", "tricorn", "logs", "--home", str(ROOT / "nowhere")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}

    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env=environment, text=True, check=False)
    os.close(writer)

    assert "Traceback" not in done.stderr


def test_errors_that_are_the_reader_s_to_mend_are_two_lines() -> None:
    assert explain(SuperviseError("the disk is full", remedy="free some space")) == (
        "the disk is full",
        "free some space",
    )
    assert explain(RuntimeError("a defect")) is None


def test_the_home_is_found_wherever_it_stands_among_the_words() -> None:
    assert split_home(["status", "--home", "x", "--json"]) == (["status", "--json"], Path("x"))
    assert split_home(["--home=y", "status"]) == (["status"], Path("y"))


def test_a_log_line_reads_as_people_read_it() -> None:
    fields = {"time": "2026-01-02T03:04:05.678Z", "level": "info", "event": "placed", "logger": "x", "process": "shop"}
    line = json.dumps({**fields, "order_id": "o1"})

    assert readable(line, colour=False) == "03:04:05.678 info    shop placed order_id=o1"
    assert "\033[" in readable(line, colour=True)


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "{broken", "[1]", ""])
def test_a_line_that_is_no_log_stays_as_it_is(line: str) -> None:
    assert readable(line, colour=True) == line


def test_the_last_lines_of_a_long_log_are_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text("".join(f"line {n}\n" for n in range(50_000)))

    assert last_lines(log, 2) == ["line 49998", "line 49999"]
    assert last_lines(log, 0) == []


def test_following_shows_whole_lines_and_survives_a_new_file(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text("old\n")
    tail = Tail(tmp_path, from_end=True)

    with log.open("a") as file:
        file.write("new\nhal")
    first = tail.new_lines()
    with log.open("a") as file:
        file.write("f\n")
    second = tail.new_lines()
    log.write_text("x\n")

    assert (first, second, tail.new_lines()) == (["new"], ["half"], ["x"])


def test_tests_are_found_by_the_name_of_their_folder() -> None:
    assert find_part(ROOT, "checks") == [ROOT / "tests" / "checks"]
    assert find_part(ROOT, "catalog") == [ROOT / "agora" / "tests" / "catalog"]
    with pytest.raises(SuperviseError, match="no tests called 'nonsense'"):
        find_part(ROOT, "nonsense")


def test_an_option_of_pytest_keeps_its_value() -> None:
    parts, options = split_options(["orders", "-x", "-k", "takeover", "wire"])

    assert (parts, options) == (["orders", "wire"], ["-x", "-k", "takeover"])


def test_checks_come_first_and_whole_systems_last() -> None:
    order = [path.name for path in ordered(ROOT)]

    assert order[0] == "checks"
    assert order[-1] == "system"


def test_progress_passes_through_a_pipe() -> None:
    heard: list[object] = []

    class Ear:
        def stage(self, text: str) -> None:
            heard.append(text)

        def step(self, text: str, done: int, total: int) -> None:
            heard.append((text, done, total))

        def ready(self, state: object) -> None:
            heard.append(state)

        def settled(self, stay: list[str]) -> None:
            heard.append(stay)

        def note(self, text: str) -> None:
            heard.append(text)

        def failed(self, what: str, remedy: str, log: str) -> None:
            heard.append((what, remedy, log))

    reader, writer = os.pipe()
    progress = PipeProgress(writer)
    progress.stage("begin")
    progress.step("fill", 1, 2)
    progress.failed("no", "try", "log")
    progress.ready({"url": "u"})
    progress.settled(["stays"])
    progress.note("nobody listens any more")

    with os.fdopen(reader, "rb") as lines:
        kinds = [replay(line, Ear()) for line in lines]

    assert kinds == ["stage", "step", "failed", "ready", "settled"]
    assert heard == ["begin", ("fill", 1, 2), ("no", "try", "log"), {"url": "u"}, ["stays"]]


def test_a_wrong_setting_is_explained_by_its_name_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydantic import ValidationError  # noqa: PLC0415 - what the settings raise

    from tricorn.host.settings import Settings  # noqa: PLC0415

    monkeypatch.setenv("TRICORN_ENVIRONMENT", "prod")
    with pytest.raises(ValidationError) as caught:
        Settings()

    what, remedy = explain(caught.value) or ("", "")

    assert "environment='prod'" in what
    assert "docs/settings.md" in remedy


def test_a_whole_run_uses_the_cores_unless_it_is_told_how_or_wants_one_place_to_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert side_by_side(["-k", "x"])[:2] == ["-n", "4"]

    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert side_by_side(["-k", "x"])[:2] == ["-n", "3"]
    assert side_by_side(["-n", "0"]) == side_by_side(["-x"]) == side_by_side(["--pdb"]) == []
