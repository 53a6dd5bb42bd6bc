"""What Rust's own tools say about the crates: format, lints, tests, licences, what is there twice.

Everything is built where the native part of the application is built, so that nothing is compiled a second time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.host.natives import build_folder

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "agora" / "native" / "engine"
PLATFORM = ROOT / "rust"
WORKSPACES = [pytest.param(ENGINE, id="engine"), pytest.param(PLATFORM, id="platform")]
LONGEST_SECONDS = 1500

ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
# Crates of which a program holds two versions, because two of its dependencies ask for them. It may only shrink.
TWICE = {ENGINE: set[str](), PLATFORM: {"foldhash", "hashbrown"}}
# PyO3's macros write `unsafe` into the extension.
UNSAFE = {"engine-py"}

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo")


def cargo(workspace: Path, *arguments: str) -> str:
    """What it says, if it is content."""
    done = subprocess.run(
        ["cargo", *arguments],
        cwd=workspace,
        env={
            **os.environ,
            "CARGO_TARGET_DIR": str(build_folder("engine", ROOT / ".tricorn")),
            "CARGO_TERM_COLOR": "never",
            # Line tables are enough for a backtrace, and halve what is written.
            "CARGO_PROFILE_DEV_DEBUG": "line-tables-only",
            "PYO3_PYTHON": sys.executable,
        },
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return done.stdout


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_everything_is_formatted(workspace: Path) -> None:
    cargo(workspace, "fmt", "--all", "--check")


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_clippy_finds_nothing(workspace: Path) -> None:
    cargo(workspace, "clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings")


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_the_crates_own_tests_pass(workspace: Path) -> None:
    cargo(workspace, "test", "--quiet", "--locked", "--workspace")


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_every_dependency_has_a_licence_that_ours_goes_with(workspace: Path) -> None:
    packages = json.loads(cargo(workspace, "metadata", "--locked", "--format-version", "1"))["packages"]

    refused = {package["name"]: package["license"] for package in packages if not allowed(package["license"] or "")}

    assert refused == {}


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_no_program_holds_a_crate_in_two_versions(workspace: Path) -> None:
    shown = ("--duplicates", "--edges", "normal,no-proc-macro", "--depth", "0", "--prefix", "none")
    tree = cargo(workspace, "tree", "--locked", "--workspace", *shown)

    versions: dict[str, set[str]] = {}
    for name, version in (line.split()[:2] for line in tree.splitlines() if line):
        versions.setdefault(name, set()).add(version)
    assert {name for name, several in versions.items() if len(several) > 1} == TWICE[workspace]


def test_every_crate_forbids_unsafe_code() -> None:
    manifests = [*ENGINE.glob("crates/*/Cargo.toml"), *PLATFORM.glob("*/Cargo.toml")]
    roots = [path for each in manifests for path in (each.parent / "src").glob("*.rs") if path.stem in {"lib", "main"}]
    lax = {path.parents[1].name for path in roots if "#![forbid(unsafe_code)]" not in path.read_text()}
    workspace_wide = 'unsafe_code = "forbid"' in (PLATFORM / "Cargo.toml").read_text()

    assert len(roots) >= len(manifests)
    assert {name for name in lax if not workspace_wide or (ENGINE / "crates" / name).exists()} == UNSAFE


def allowed(licence: str) -> bool:
    """Whether a licence expression (SPDX, with the old slash for OR) can be kept by keeping what is allowed."""
    words = re.findall(r"[()]|[^\s()]+", licence.replace("/", " OR "))
    joined: list[str] = []
    for word in words:
        if joined and (word == "WITH" or joined[-1].endswith(" WITH")):
            joined[-1] += f" {word}"
        else:
            joined.append(word)
    return bool(joined) and _any(joined) and not joined


def _any(words: list[str]) -> bool:
    kept = _all(words)
    while words and words[0] == "OR":
        words.pop(0)
        # Both sides are read, or the second would be left over.
        kept = _all(words) or kept
    return kept


def _all(words: list[str]) -> bool:
    kept = _one(words)
    while words and words[0] == "AND":
        words.pop(0)
        kept = _one(words) and kept
    return kept


def _one(words: list[str]) -> bool:
    word = words.pop(0) if words else ""
    if word != "(":
        return word in ALLOWED
    kept = _any(words)
    return words[:1] == [")"] and bool(words.pop(0)) and kept


@pytest.mark.parametrize(
    ("licence", "goes"),
    [
        ("MIT", True),
        ("GPL-3.0", False),
        ("MIT/Apache-2.0", True),
        ("GPL-3.0 OR MIT", True),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", True),
        ("MIT AND GPL-3.0", False),
        ("Apache-2.0 WITH LLVM-exception OR MIT", True),
        ("GPL-2.0 WITH Classpath-exception-2.0", False),
        ("", False),
        ("(MIT", False),
    ],
)
def test_a_licence_is_read_as_what_it_offers_and_what_it_asks_for(licence: str, goes: bool) -> None:
    assert allowed(licence) is goes
