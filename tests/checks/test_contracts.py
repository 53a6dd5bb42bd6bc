"""What the contracts are made into is fresh, and buf approves of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.cli.gen import generated, generated_by_plugins, generated_rust, missing_plugins
from tricorn.contract.codegen import PLATFORM_SOURCE, descriptor_set
from tricorn.contract.rust import missing_tool
from tricorn.host.manifest import load_manifest

ROOT = Path(__file__).parents[2]
AGORA = ROOT / "agora"
# Values read as `level: USER` in every method's option: a prefix would be said three times a method. Answers are the
# entity itself, as in the application.
PLATFORM_EXCEPTIONS = ["ENUM_VALUE_PREFIX", "ENUM_ZERO_VALUE_SUFFIX", "RPC_RESPONSE_STANDARD_NAME"]
PLATFORM_RULES = json.dumps({"version": "v2", "lint": {"use": ["STANDARD"], "except": PLATFORM_EXCEPTIONS}})


def buf(*arguments: str, image: bytes) -> subprocess.CompletedProcess[bytes]:
    program = Path(sys.executable).with_name("buf")
    return subprocess.run([program, *arguments], input=image, capture_output=True, timeout=120, check=False)


def test_generated_files_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    stale = generated(load_manifest(AGORA), check=True)

    assert stale == [], "run ./tricorn gen"


def test_generated_go_is_fresh(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(ROOT)
    application = load_manifest(AGORA)
    if missing := missing_plugins(application):
        # Only who asked for the quick tests may pass over what cannot be checked here.
        quick = "not slow" in request.config.getoption("markexpr")
        (pytest.skip if quick else pytest.fail)(f"the generated Go cannot be checked: {missing}")

    stale = generated_by_plugins(application, check=True)

    assert stale == [], "run ./tricorn gen"


def test_generated_rust_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := missing_tool():
        pytest.skip(missing)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CARGO_PROFILE_DEV_DEBUG", "none")

    stale = generated_rust(load_manifest(AGORA), check=True)

    assert stale == [], "run ./tricorn gen"


def test_buf_approves_of_the_application_s_contracts() -> None:
    image = descriptor_set(load_manifest(AGORA).proto_source)

    done = buf("lint", "-#format=binpb", "--config", str(AGORA / "proto" / "buf.yaml"), "--path", "agora", image=image)

    assert done.stdout.decode() + done.stderr.decode() == ""


def test_buf_approves_of_the_platform_s_contracts() -> None:
    done = buf(
        "lint", "-#format=binpb", "--config", PLATFORM_RULES, "--path", "tricorn", image=descriptor_set(PLATFORM_SOURCE)
    )

    assert done.stdout.decode() + done.stderr.decode() == ""


def test_contracts_break_nothing_that_was_released(tmp_path: Path) -> None:
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v*")
    if not tag:
        pytest.skip("nothing was released yet")
    git("worktree", "add", "--detach", str(tmp_path / "released"), tag)
    try:
        before = descriptor_set(load_manifest(tmp_path / "released" / "agora").proto_source)
    finally:
        git("worktree", "remove", "--force", str(tmp_path / "released"))
    against = tmp_path / "released.binpb"
    against.write_bytes(before)
    image = descriptor_set(load_manifest(AGORA).proto_source)
    config = str(AGORA / "proto" / "buf.yaml")

    done = buf(
        "breaking", "-#format=binpb", "--against", str(against), "--config", config, "--path", "agora", image=image
    )

    assert done.stdout.decode() + done.stderr.decode() == ""


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
