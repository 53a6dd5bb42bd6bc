"""What Rust's own tools say about the crates: format, lints, tests, licences, what is there twice.

Everything is built where the generator is, and as it is, so that nothing is compiled a second time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tricorn.contract.rust import UNDEBUGGED
from tricorn.host.natives import build_folder

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "agora" / "native" / "engine"
PLATFORM = ROOT / "rust"
WORKSPACES = [pytest.param(ENGINE, id="engine"), pytest.param(PLATFORM, id="platform")]
LONGEST_SECONDS = 1500

# The crates' own sources are compiled by clippy, which is the compiler with more lints: looked at and built for their tests in one go.
BY_CLIPPY = {"RUSTC_WORKSPACE_WRAPPER": "clippy-driver"}

# Nothing else of the machine is used: whoever has cargo can have it in this version.
DENY = ("cargo-deny", "0.20.2")
# PyO3's macros write `unsafe` into the extension.
UNSAFE = {"engine-py"}
EMPTY: Mapping[str, str] = MappingProxyType({})

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo")


def cargo(workspace: Path, *arguments: str, environment: Mapping[str, str] = EMPTY) -> str:
    """What it says, if it is content."""
    done = subprocess.run(
        ["cargo", *arguments],
        cwd=workspace,
        env={
            **os.environ,
            **UNDEBUGGED,
            "CARGO_TARGET_DIR": str(build_folder("gen", ROOT / ".tricorn")),
            "CARGO_TERM_COLOR": "never",
            "PYO3_PYTHON": sys.executable,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_everything_is_formatted(workspace: Path) -> None:
    cargo(workspace, "fmt", "--all", "--check")


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_clippy_finds_nothing(workspace: Path) -> None:
    said = cargo(workspace, "build", "--quiet", "--locked", "--workspace", "--all-targets", environment=BY_CLIPPY)

    assert not said, said


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_the_crates_own_tests_pass(workspace: Path) -> None:
    cargo(workspace, "test", "--quiet", "--locked", "--workspace", environment=BY_CLIPPY)


@pytest.fixture(scope="module")
def deny() -> Path:
    """cargo-deny, compiled once for all runs."""
    name, version = DENY
    tools = build_folder("tools", ROOT / ".tricorn")
    program = tools / "bin" / name
    installed = tools / ".crates.toml"
    if not installed.exists() or f'"{name} {version} ' not in installed.read_text():
        # `--debug`: it runs for seconds, and is compiled in a third of the time.
        cargo(ROOT, "install", "--quiet", "--locked", "--debug", "--root", str(tools), "--version", version, name)
    return program


def denied(deny: Path, workspace: Path, *about: str) -> subprocess.CompletedProcess[str]:
    """What cargo-deny finds in the crates that a workspace depends on, those for other machines than this among them."""
    command = [str(deny), "--locked", "--config", str(PLATFORM / "deny.toml"), "check", *about]
    return subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_licences_versions_and_sources_of_all_dependencies_are_allowed(deny: Path, workspace: Path) -> None:
    found = denied(deny, workspace, "bans", "licenses", "sources")

    assert found.returncode == 0, found.stderr


@pytest.mark.full
@pytest.mark.parametrize("workspace", WORKSPACES)
def test_no_dependency_has_a_known_vulnerability(deny: Path, workspace: Path) -> None:
    found = denied(deny, workspace, "advisories")

    if "failed to fetch advisory database" in found.stderr:
        pytest.skip("the database of advisories cannot be reached")
    assert found.returncode == 0, found.stderr


def test_every_crate_forbids_unsafe_code() -> None:
    manifests = [*ENGINE.glob("crates/*/Cargo.toml"), *PLATFORM.glob("*/Cargo.toml")]
    roots = [path for each in manifests for path in (each.parent / "src").glob("*.rs") if path.stem in {"lib", "main"}]
    lax = {path.parents[1].name for path in roots if "#![forbid(unsafe_code)]" not in path.read_text()}
    workspace_wide = 'unsafe_code = "forbid"' in (PLATFORM / "Cargo.toml").read_text()

    assert len(roots) >= len(manifests)
    assert {name for name in lax if not workspace_wide or (ENGINE / "crates" / name).exists()} == UNSAFE
