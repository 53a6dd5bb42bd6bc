"""The pins: hashed, complete, without a host, and installable without a compiler wherever we say so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.txt", "requirements-dev.txt", "requirements-data.txt", "bench/rivals/requirements.txt"]
PLATFORMS = ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "x86_64-apple-darwin", "aarch64-apple-darwin"]


def blocks(name: str) -> list[str]:
    """Each requirement of a lock with its continuation lines."""
    text = "".join(
        line for line in (ROOT / name).read_text().splitlines(keepends=True) if not line.lstrip().startswith("#")
    )
    return [block for block in re.split(r"\n(?=\S)", text.strip()) if block]


def names(name: str) -> set[str]:
    return {block.partition("==")[0].strip().lower().replace("_", "-") for block in blocks(name)}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_has_a_hash(lock: str) -> None:
    loose = [
        block for block in blocks(lock) if not re.match(r"[a-zA-Z0-9._-]+==\S+ .*--hash=sha256:", block, re.DOTALL)
    ]

    assert loose == []


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_a_host_or_an_option(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()

    assert [line for line in lines if line.startswith("-") or "://" in line] == []


@pytest.mark.parametrize(
    ("wanted", "lock"),
    [
        ("requirements.in", "requirements.txt"),
        ("requirements-dev.in", "requirements-dev.txt"),
        ("bench/rivals/requirements.in", "bench/rivals/requirements.txt"),
    ],
)
def test_everything_that_is_wanted_is_pinned(wanted: str, lock: str) -> None:
    lines = [line for line in (ROOT / wanted).read_text().splitlines() if line and line[0].isalpha()]
    asked = {re.split(r"[\[<>=~;! ]", line)[0].lower() for line in lines}

    assert asked - names(lock) == set(), "make the locks again, as CONTRIBUTING.md says"


def test_what_tests_need_includes_all_that_runs_at_the_same_versions() -> None:
    runtime = {block.partition(" ")[0] for block in blocks("requirements.txt")}
    development = {block.partition(" ")[0] for block in blocks("requirements-dev.txt")}

    assert runtime - development == set()


@pytest.mark.full
@pytest.mark.parametrize("python", ["3.11", "3.14"])
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_a_wheel_for_the_platform(lock: str, platform: str, python: str, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--require-hashes", "--only-binary", ":all:", "--python-version", python, "--python-platform", platform]

    done = subprocess.run(
        [uv, "pip", "install", "--dry-run", "--target", tmp_path, *options, "-r", ROOT / lock],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stderr
