"""A plan with one native part, whose build and check are programs of the tests, and what a run of it leaves in its home."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tricorn.supervise.control import ControlClient
from tricorn.supervise.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable

PART = Path(__file__).with_name("part.py")
SHOP = {"name": "shop", "gateway": True}
CONTRACT = "toy.things.v1.ThingsService"
GOOD = {
    "contract": CONTRACT,
    "cases": 12,
    "passed": 12,
    "asked": 12,
    "finding": "",
    "fresh": True,
    "why": "",
    "gain": "a thing 9 ms -> 1 ms",
}


class Spec:
    """A plan with one native part, and the files that say how its build and its check end."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.build, self.check, self.fail = folder / "build", folder / "check", folder / "fail"
        self.journal, self.go = folder / "journal", folder / "go"
        self.program = folder / "part.py"
        self.address = sockets / "s"
        self.makes("first")
        self.builds(built=3)
        self.finds()

    def makes(self, build: str) -> None:
        """Puts a build of the program in place of the one before."""
        made = self.program.with_suffix(".new")
        made.write_text(f"#!{sys.executable}\n{PART.read_text()}\n# {build}\n")
        made.chmod(0o755)
        made.replace(self.program)

    def builds(self, **line: Any) -> None:
        self.build.write_text(json.dumps(line))

    def finds(self, *, waits: bool = False, **other: Any) -> None:
        """What its check says; where it `waits`, not before there is something at `go`."""
        wait = f"wait {self.go}\n" if waits else ""
        self.check.write_text(wait + json.dumps({"checked": [{**GOOD, **other}]}))

    def plan(self, *, grows: bool = True, **limits: Any) -> dict[str, Any]:
        part = {
            "name": "things",
            "address": str(self.address),
            "build": str(self.build),
            "check": str(self.check),
            "permit": "never asked",
            "program": str(self.program),
            "contracts": [CONTRACT],
            "arguments": ["--fail", str(self.fail), "--journal", str(self.journal)],
        }
        shop = {**SHOP, "arguments": ["--journal", str(self.journal)]}
        endpoints = {CONTRACT: {"python": ["unix:/nowhere"]}}
        return {"processes": [shop], "parts": [part], "grows": grows, "endpoints": endpoints, "limits": limits}


def bindings(run: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((run.home / "bindings.json").read_text())["bindings"]
    return said


def places(run: Any) -> dict[str, list[str]]:
    said: dict[str, list[str]] = json.loads((run.home / "endpoints.json").read_text())["endpoints"][CONTRACT]
    return said


def state(run: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((run.home / "state.json").read_text())
    return said


def heard(run: Any, until: str) -> list[str]:
    """What is said to the operator until a note that holds some words."""
    notes: list[str] = []
    while not notes or until not in notes[-1]:
        notes += run.until("note")
    return notes


def pid(run: Any) -> int:
    pid: int = next(each["pid"] for each in state(run)["processes"] if each["name"] == "things")
    return pid


def ask(run: Any, call: str, **said: Any) -> dict[str, Any]:
    return ControlClient(Home(run.home)).call(call, **said)


def was_bound(spec: Spec, bindings: dict[str, Any]) -> None:
    """What the run before this one left."""
    home = spec.build.parent / "home"
    home.mkdir()
    (home / "bindings.json").write_text(json.dumps({"version": 1, "generation": 2, "bindings": bindings}))


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Waits until something holds; it is asked time and again."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
