"""`tricorn test` and `tricorn lint`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from tricorn.cli.application import folder
from tricorn.supervise.errors import SuperviseError

app = typer.Typer()
lint_app = typer.Typer()

_CHECKS = "tests/checks"
_LAST = "system"
# What this call is about is nothing that a test should inherit. And tests start the same programs hundreds of times: their byte code is kept.
_NOT_FOR_TESTS = frozenset({"DATABASE_URL", "TRICORN_HOME", "TRICORN_APP", "TRICORN_DOOR", "PYTHONDONTWRITEBYTECODE"})
_TAKE_A_VALUE = {"-k", "-m", "-n", "-o", "-p", "-W", "--durations", "--maxfail", "--tb"}
_ALONE = {"-n", "-s", "-x", "--pdb", "--trace", "--collect-only", "--co"}
_MOST_WORKERS = 4
_USAGE_STATUS = 5  # pytest: nothing was collected


@app.command(name="test", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_tests(
    context: typer.Context,
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PART...]", help="Folders of tests: checks, wire, orders, system, ..."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what is slow: about 2 minutes.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Everything, long random runs too.")] = False,
) -> int:
    """Check everything, in order: sources (lint, types, generated code), units, contexts, conformance, system.

    All of it is one run of pytest; the last line has its totals. Without a PART files run side by side, two more than
    there are cores (`-n 0`: one after the other). Options that are not ours go to pytest, e.g. `-x` or `-k NAME`.
    """
    if quick and full:
        raise SuperviseError("--quick and --full exclude each other", remedy="choose one")
    root = folder()
    wanted, options = split_options([*(parts or []), *context.args])
    named = [path for part in wanted for path in find_part(root, part)]
    marker = "not full" + (" and not slow" if quick else "")
    return run_pytest(
        root,
        [
            *([] if full else ["-m", marker]),
            *([] if named else side_by_side(options)),
            *options,
            *(str(file) for file in named or ordered(root)),
        ],
    )


@lint_app.command()
def lint() -> int:
    """Check the sources alone: ruff, formatting, types, imports between rooms, sizes, generated code, contracts."""
    root = folder()
    return run_pytest(root, ["-m", "not full", str(root / _CHECKS)])


def split_options(words: list[str]) -> tuple[list[str], list[str]]:
    """The parts that are named, and pytest's options with their values."""
    parts: list[str] = []
    options: list[str] = []
    for word in words:
        belongs_to_pytest = word.startswith("-") or (options and options[-1] in _TAKE_A_VALUE)
        (options if belongs_to_pytest else parts).append(word)
    return parts, options


def side_by_side(options: list[str]) -> list[str]:
    """Options that run files of tests at the same time, two more than there are cores: many wait for processes. In their order.

    Each worker has a PostgreSQL of its own. None when the options say how many, or want one place to look at.
    """
    if _ALONE & {option.partition("=")[0] for option in options}:
        return []
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return ["-n", str(min(cores + 2, _MOST_WORKERS)), "--dist", "loadfile", "--no-loadscope-reorder"]


def ordered(root: Path) -> list[Path]:
    """The folders of tests, cheap ones first and those of whole systems last."""
    folders = [
        path for base in (root / "tests", *root.glob("*/tests")) if base.is_dir() for path in sorted(base.iterdir())
    ]
    folders = [path for path in folders if path.is_dir() and any(path.rglob("test_*.py"))]
    return sorted(folders, key=lambda path: (path != root / _CHECKS, path.name == _LAST))


def find_part(root: Path, part: str) -> list[Path]:
    """The tests that a word names: a path, or the name of a folder below `tests` or an application's `tests`.

    Raises:
        SuperviseError: it names none.
    """
    given = Path(part.partition("::")[0])
    if given.exists():
        return [Path(part)]
    known = {path.name: path for path in reversed(ordered(root))}
    found = [path for path in ordered(root) if path.name == part]
    if not found:
        raise SuperviseError(f"there are no tests called {part!r}", remedy=f"choose from: {', '.join(sorted(known))}")
    return found


def run_pytest(root: Path, arguments: list[str]) -> int:
    """Run pytest in a process of its own, so that its exit status and its last line are ours."""
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_TESTS}
    command = [sys.executable, "-P", "-m", "pytest", "--rootdir", str(root), *arguments]
    try:
        status = subprocess.run(command, cwd=root, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130
    return 0 if status == _USAGE_STATUS and not arguments else status
