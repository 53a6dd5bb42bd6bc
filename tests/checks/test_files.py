"""What the repository's files may and must look like."""

from __future__ import annotations

import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = re.compile(
    r"_pb2\.pyi?$|_tricorn\.py$|^agora/src/agora_proto/|^src/tricorn/v1/"
    r"|^agora/native/gen/|^go/tricorn/v1/|^agora/native/inventory/postgres/queries/"
)
# Written in pieces, so that this file does not name what it forbids.
MACHINE = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", r"/home/[a-z]+/", r"/Users/[A-Za-z]+/"]))
HOSTS = re.compile("|".join(["pypi" + r"\.org/simple", "files" + r"\.pythonhosted", "registry" + r"\.npmjs",
                             "proxy" + r"\.golang", "--index" + "-url", "--find" + "-links"]))  # fmt: skip
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|NotImplemented" + "Error")


def repository_files() -> list[Path]:
    """What is committed or would be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


FILES = repository_files()
SOURCES = [
    path
    for path in FILES
    if path.suffix in {".py", ".go", ".rs", ".sh", ".proto"} and not GENERATED.search(str(path.relative_to(ROOT)))
]


def lines_that_match(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    found = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}:{n}: {line.strip()[:100]}" for n, line in enumerate(text.splitlines(), 1)
                  if pattern.search(line)]  # fmt: skip
    return found


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    assert lines_that_match(MACHINE, FILES) == []


def test_no_file_names_a_package_registry() -> None:
    assert lines_that_match(HOSTS, FILES) == []


def test_nothing_is_left_unfinished() -> None:
    assert lines_that_match(UNFINISHED, SOURCES) == []


def test_files_keep_to_a_size_that_can_be_read() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in SOURCES
        if "proto/buf/" not in str(path)
    }

    ordered = sorted(sizes.values())
    assert {name: size for name, size in sizes.items() if size > 800} == {}
    assert ordered[len(ordered) * 9 // 10] <= 400
    assert statistics.median(ordered) <= 150


def test_generated_code_is_marked_for_reviewers() -> None:
    marked = (ROOT / ".gitattributes").read_text()

    assert "agora/src/agora_proto/** linguist-generated=true" in marked
    assert "src/tricorn/v1/** linguist-generated=true" in marked


def test_the_door_can_be_executed() -> None:
    assert (ROOT / "tricorn").stat().st_mode & 0o111
