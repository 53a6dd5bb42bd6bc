"""The toy application with a native part that is a program of the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PATIENCE = 120
CASES = {
    "contract": "toy.tally.v1.TallyService",
    "cases": [
        {
            "name": f"{name} has written nothing",
            "method": "GetTally",
            "why": "a tally begins with nothing",
            "request": {"author": name},
            "response": {"author": name, "notes": "0"},
        }
        for name in ("nobody", "somebody else")
    ],
}

TALLY = """
[natives.tally]
language = "other"
root = "native"
build = ["sh", "build.sh"]
binary = "tally"
sources = ["native"]
contracts = ["toy.tally.v1.TallyService"]
needs = [{tool = "sh", how = "it is everywhere"}]
[processes.tally]
native = "tally"
[shapes.grow]
processes = ["all", "tally"]
grows = true
[shapes.native]
processes = ["tally", "all"]
[processes.writing]
contexts = ["notes"]
gateway = true
[processes.counting]
contexts = ["tally"]
[shapes.apart]
processes = ["counting", "writing"]
"""
"""What tricorn.toml says of a native part that answers tallies, and of shapes with it."""


class Toy:
    """A copy of the toy application with a native part that is a program of the tests."""

    def __init__(self, folder: Path, added: str, program: str = "tally", part: str = "tally") -> None:
        self.folder, self.home = folder / "toy", folder / "home"
        shutil.copytree(
            ROOT / "tests/toy/app", self.folder, ignore=shutil.ignore_patterns("__pycache__", "toy_proto", "docs")
        )
        (self.folder / "tricorn.toml").open("a").write(added)
        (self.folder / "conformance").mkdir()
        (self.folder / "conformance" / "tally.json").write_text(json.dumps(CASES))
        (self.folder / "native").mkdir()
        self._program, self._part = program, part
        self.writes()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRICORN_", "DATABASE_"))}
        self.environment = {**kept, "PYTHONPATH": str(ROOT / "src")}
        self.run("gen")
        self.vouch()

    def writes(self, *, wrong: bool = False, build: str = "first") -> None:
        """Writes the native part's source."""
        name = self._program
        source = (HERE / "native" / f"{name}.py").read_text()
        for word, value in (
            ("APPLICATION", self.folder),
            ("PLATFORM", ROOT / "src"),
            ("WRONG", "yes" if wrong else ""),
            ("BUILD", build),
        ):
            source = source.replace(f"@{word}@", str(value))
        (self.folder / "native" / f"{name}.py").write_text(f"#!{sys.executable} -P\n{source}")
        (self.folder / "native" / "build.sh").write_text(
            f'install -m 755 {name}.py "$TRICORN_BUILD/{name}"; echo built >> "$TRICORN_BUILD/times"'
        )

    def build(self) -> None:
        """Builds what was written, as `verify` does while the application runs."""
        folder = self.home / "build" / self._part
        subprocess.run(
            ["sh", "build.sh"],
            cwd=self.folder / "native",
            env={**os.environ, "TRICORN_BUILD": str(folder)},
            timeout=60,
            check=True,
        )

    def vouch(self) -> None:
        subprocess.run(
            [sys.executable, "-P", str(HERE / "native" / f"vouch_{self._program}.py"), str(self.folder)],
            env=self.environment,
            check=True,
            timeout=PATIENCE,
        )

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "tricorn", "--app", str(self.folder), *words]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=2 * PATIENCE, check=False
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def up(self, *words: str, check: bool = True) -> str:
        """Starts it; what it says about that."""
        return self.run("up", "--detach", "--port", "0", "--home", str(self.home), *words, check=check).stderr

    def at_home(self, *words: str) -> str:
        return self.run(*words, "--home", str(self.home)).stdout

    def status(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.at_home("status", "--json"))
        return said

    def service(self) -> dict[str, Any]:
        return next(each for each in self.status()["services"] if each["name"] == "tally")

    def process(self, name: str) -> dict[str, Any]:
        return next(each for each in self.status()["processes"] if each["name"] == name)

    def logged(self, process: str, event: str) -> list[dict[str, Any]]:
        """What a process logged of an event, in all of its runs."""
        lines = (self.home / "logs" / f"{process}.jsonl").read_text().splitlines()
        return [said for said in map(json.loads, lines) if said["event"] == event]

    def who(self) -> str:
        """Who answers a tally now."""
        return "other" if self.tally("who%20answers%3F") == "4242" else "python"

    def tally(self, author: str, url: str = "") -> str:
        """How many notes of somebody were counted; where it answers is looked up, unless it is said."""
        with urllib.request.urlopen(f"{url or self.status()['url']}/api/v1/tally/{author}", timeout=10) as answer:  # noqa: S310
            return str(json.loads(answer.read())["notes"])

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, "it did not come about"
            time.sleep(0.2)
