"""The platform's Go without the shop: a part of the toy application, made against the source of `go/tricorn`, answers for Python."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from refusals import PROBLEM

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PLATFORM = ROOT / "go" / "tricorn"
PATIENCE = 60
BUILD_SECONDS = 900

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("go") is None, reason="the toy's part is built with go, and there is none"),
]


class Toy:
    """A copy of the toy application with a part in Go."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder / "app", folder / "home"
        shutil.copytree(
            ROOT / "tests/toy/app", self.folder, ignore=shutil.ignore_patterns("__pycache__", "toy_proto", "docs")
        )
        shutil.copytree(ROOT / "tests/toy/go", self.folder / "native")
        native = self.folder / "native"
        (native / "buf.gen.yaml").rename(self.folder / "proto" / "buf.gen.yaml")
        (native / "conformance").rename(self.folder / "conformance")
        added = native / "added.toml"
        (self.folder / "tricorn.toml").open("a").write(added.read_text())
        added.unlink()
        # What the platform needs, a part of the toy needs too, in the same versions.
        module = re.sub(
            r"^module .*$", "module toy/native", (PLATFORM / "go.mod").read_text(), count=1, flags=re.MULTILINE
        )
        (native / "go.mod").write_text(f"{module}\nrequire tricorn v0.0.0\n\nreplace tricorn => {PLATFORM}\n")
        shutil.copy(PLATFORM / "go.sum", native / "go.sum")

    def tricorn(self, *words: str, status: int = 0) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRICORN_", "DATABASE_"))}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "tricorn", "--app", str(self.folder), *words],
            env={**kept, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.tricorn("status", "--json", "--home", str(self.home)))
        return said

    def service(self) -> dict[str, Any]:
        return next(each for each in self.status()["services"] if each["name"] == "tally")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    toy = Toy(tmp_path_factory.mktemp("toy_in_go"))
    toy.tricorn("gen")
    return toy


@pytest.fixture(scope="module")
def client(toy: Toy) -> Iterator[httpx.Client]:
    toy.tricorn("up", "--detach", "--port", "0", "--home", str(toy.home))
    # Nobody has verified it: what grows leaves it in Python, and an operator may decide otherwise.
    deadline = time.monotonic() + BUILD_SECONDS
    while "nobody has verified" not in toy.service()["place"]:
        assert time.monotonic() < deadline, toy.service()
        time.sleep(0.5)
    toy.tricorn("bind", "tally=go", "--home", str(toy.home))
    with httpx.Client(base_url=toy.status()["url"], timeout=30) as client:
        yield client
    assert toy.tricorn("down", "--home", str(toy.home)) == "stopped\n"


def test_its_code_is_made_by_gen_and_is_fresh_afterwards(toy: Toy) -> None:
    made = toy.folder / "native/gen/toy/tally/v1/tally_grpc.pb.go"
    left = made.with_name("left_over.pb.go")
    fresh = toy.tricorn("gen", "--check")
    text = made.read_text()
    made.write_text(text + "// by hand\n")
    left.write_text("package tallyv1\n")

    said = toy.tricorn("gen", "--check", status=1)
    mended = toy.tricorn("gen")

    assert fresh == "everything is fresh\n"
    assert {Path(line.removeprefix("stale ")).name for line in said.splitlines()} == {made.name, left.name}
    assert mended.count("made ") == 2
    assert made.read_text() == text
    assert not left.exists()


def test_go_answers_from_the_rows_that_python_writes(toy: Toy, client: httpx.Client) -> None:
    assert client.post("/api/v1/notes", json={"author": "Ada", "text": "First."}).status_code == 201

    deadline = time.monotonic() + PATIENCE
    while client.get("/api/v1/tally/Ada").json() != {"author": "Ada", "notes": "1"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    service = toy.service()
    assert (service["implementation"], service["process"], service["share"]) == ("go", "tally", 10_000)
    assert client.get("/api/v1/tally/nobody").json() == {"author": "nobody", "notes": "0"}


def test_a_reason_of_the_toy_crosses_from_go(client: httpx.Client) -> None:
    answer = client.get("/api/v1/tally/the censor")

    assert (answer.status_code, answer.headers["content-type"]) == (423, PROBLEM)
    assert (answer.json()["code"], answer.json()["metadata"]) == ("NOTE_LOCKED", {"author": "the censor"})


def test_python_answers_again_when_it_is_bound(toy: Toy, client: httpx.Client) -> None:
    toy.tricorn("bind", "tally=python", "--home", str(toy.home))

    deadline = time.monotonic() + PATIENCE
    while client.get("/api/v1/tally/the censor").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
