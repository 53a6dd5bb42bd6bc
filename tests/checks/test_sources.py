"""What the tools say about the sources."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tricorn

ROOT = Path(__file__).parents[2]
FOLDERS = [name for name in ("src", "agora", "tests", "bench") if (ROOT / name).is_dir()]


def passes(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_ruff_finds_nothing() -> None:
    passes("ruff", "check", "--quiet", "--output-format", "concise", *FOLDERS)


def test_everything_is_formatted() -> None:
    passes("ruff", "format", "--check", "--quiet", *FOLDERS)


def test_types_are_right() -> None:
    passes("mypy", "src/tricorn", "agora/src")


def test_rooms_and_contexts_import_only_what_they_may() -> None:
    program = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'agora' / 'src'}", "PATH": "", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_the_package_and_the_program_tell_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["project"]["version"] == tricorn.__version__
