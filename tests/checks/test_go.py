"""What Go's own tools say about the modules: format, vet, staticcheck, comments, requirements, tests with the race detector, fuzzing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / "go" / "tools"
MODULES = [
    pytest.param(ROOT / "go" / "tricorn", id="platform"),
    pytest.param(ROOT / "agora" / "native", id="agora"),
    pytest.param(ROOT / "bench" / "go", id="bench"),
]
GENERATED = ".pb.go"
LONGEST_SECONDS = 1500
FUZZ_SECONDS = 10
ROOMS = ("v1", "contract", "telemetry", "data", "wire", "events", "prove", "gateway", "host", "internal")
"""Each imports only those before it; `internal` is for tests."""
RULES = tuple(f"agora/native/inventory{each}" for each in ("", "/stock", "/batch"))
HOST, ADAPTED = (
    re.compile(r"tricorn/host\b"),
    re.compile(r"jackc/pgx|google\.golang\.org/(grpc|protobuf)|/gen/agora/inventory"),
)

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="there is no go")


# Whatever has to compile the packages, in order to look at them or to try them, does so with the same flags, and so once: a race is
# reported without what debuggers read as well.
CHECKED = "-buildvcs=false -race -gcflags=all=-dwarf=false -ldflags=-w"
# What the native parts are built with; the tools have packages in common with them.
AS_BUILT = "-buildvcs=false -trimpath"


def go(module: Path, *arguments: str, flags: str = CHECKED) -> str:
    """What it says, if it is content."""
    return run(module, "go", *arguments, flags=flags)


def run(module: Path, *command: str, flags: str = CHECKED) -> str:
    """What a program says, if it is content."""
    done = subprocess.run(
        command,
        cwd=module,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": flags},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
    return done.stdout


def tool(module: Path, name: str, *arguments: str) -> str:
    """What a tool of ``go/tools`` says, in the version that stands there."""
    program = go(module, "tool", "-n", f"-modfile={TOOLS / 'go.mod'}", name, flags=AS_BUILT).strip()
    return run(module, program, *arguments)


def sources(module: Path) -> list[Path]:
    """The files that people write."""
    return sorted(path for path in module.rglob("*.go") if not path.name.endswith(GENERATED))


@pytest.mark.parametrize("module", MODULES)
def test_everything_is_formatted(module: Path) -> None:
    gofmt = shutil.which("gofmt") or str(Path(go(module, "env", "GOROOT").strip()) / "bin" / "gofmt")
    files = [str(path) for path in sources(module)]

    done = subprocess.run([gofmt, "-l", *files], capture_output=True, text=True, timeout=60, check=True)

    assert files
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_vet_and_staticcheck_find_nothing(module: Path) -> None:
    go(module, "vet", "./...")
    tool(module, "staticcheck", "./...")


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_every_exported_name_is_documented(module: Path) -> None:
    tool(module, "revive", "-config", str(TOOLS / "revive.toml"), "-set_exit_status", "./...")


def imports(module: Path) -> dict[str, list[str]]:
    """What each package imports, its tests left out."""
    said = go(module, "list", "-f", '{{.ImportPath}} {{join .Imports " "}}', "./...")
    return {package: imported for package, *imported in map(str.split, said.splitlines())}


def room(package: str) -> int:
    return ROOMS.index(package.split("/")[1])


def test_rooms_of_the_platform_import_only_those_before_them() -> None:
    found = imports(ROOT / "go" / "tricorn")

    wrong = [
        f"{package} imports {each}"
        for package, imported in found.items()
        for each in imported
        if each.startswith(("tricorn/", "agora/")) and (each.startswith("agora/") or room(each) > room(package))
    ]
    assert {room(package) for package in found} == {*range(len(ROOMS))}
    assert wrong == []


def test_native_parts_are_put_together_in_cmd_and_their_rules_know_no_transport_and_no_database() -> None:
    found = imports(ROOT / "agora" / "native")

    hosting = {package for package, imported in found.items() if any(HOST.match(each) for each in imported)}
    assert hosting == {package for package in found if "/cmd/" in package}
    assert [each for package in RULES for each in found[package] if ADAPTED.search(each)] == []


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_requirements_are_those_that_the_sources_have(module: Path) -> None:
    go(module, "mod", "tidy", "-diff")


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_the_modules_own_tests_pass_with_the_race_detector(module: Path) -> None:
    go(module, "test", "-vet=off", "./...")  # vet has a test of its own


@pytest.mark.full
@pytest.mark.parametrize("module", MODULES)
def test_fuzzing_finds_nothing(module: Path) -> None:
    found = [
        (path.parent, name)
        for path in sources(module)
        if path.name.endswith("_test.go")
        for name in re.findall(r"^func (Fuzz\w+)\(", path.read_text(), re.MULTILINE)
    ]

    for folder, name in found:
        go(folder, "test", "-run", "^$", "-fuzz", f"^{name}$", "-fuzztime", f"{FUZZ_SECONDS}s", ".", flags=AS_BUILT)


@pytest.mark.full
@pytest.mark.parametrize("module", MODULES)
def test_no_known_vulnerability_is_reached(module: Path) -> None:
    done = subprocess.run(
        ["go", "tool", f"-modfile={TOOLS / 'go.mod'}", "govulncheck", "./..."],
        cwd=module,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"},
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if "fetching vulnerabilities" in done.stderr:
        pytest.skip("the database of vulnerabilities cannot be reached")
    assert done.returncode == 0, done.stdout + done.stderr
