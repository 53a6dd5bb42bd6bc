"""The words application as an operator has it: started, called from outside, and moved by commands."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 180


class Words:
    """An application in a home; `tricorn` runs a command about it."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root = root
        self.home = home
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TRICORN_APP": str(root),
            "TRICORN_HOME": str(home),
        }

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """A command that is looked at while it runs."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tricorn", *words],
            env={**self._environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def tricorn(self, *words: str) -> tuple[int, str]:
        """Exit status and output of a command."""
        with self.begin(*words) as process:
            return finish(process)

    def up(self) -> None:
        status, said = self.tricorn(
            "up", "--shape", "grow", "--port", "0", "--detach", "--wait", "bound", "--no-demo-data"
        )
        assert status == 0, said

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "state.json").read_text())
        return found

    def shares(self) -> dict[str, int]:
        """What is bound of the words contract."""
        said = json.loads((self.home / "bindings.json").read_text())
        shares: dict[str, int] = said["bindings"]["toy.words.v1.WordsService"]["shares"]
        return shares

    @contextmanager
    def load(self, callers: int = 4) -> Iterator[Calls]:
        """Calls go on for as long as the block lasts."""
        calls = Calls(self.state["url"].removeprefix("http://"))
        threads = [threading.Thread(target=calls.keep_calling) for _ in range(callers)]
        for thread in threads:
            thread.start()
        try:
            yield calls
        finally:
            calls.stop.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)


class Calls:
    """What callers saw."""

    def __init__(self, address: str) -> None:
        self.stop = threading.Event()
        self.made = 0
        self.wrong: list[str] = []
        self._address = address

    def keep_calling(self) -> None:
        connection = http.client.HTTPConnection(self._address, timeout=30)
        words = 0
        while not self.stop.wait(0.005):
            words = (words + 1) % 7
            try:
                connection.request("GET", "/api/v1/words?text=" + "+".join(["a"] * words))
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or json.loads(body)["words"] != words:
                    self.wrong.append(f"{answer.status} {body!r}")
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(repr(error))
                connection.close()
            self.made += 1
        connection.close()


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and the rest of the output of a command."""
    try:
        said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, said


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read what a command says until a line has these words in it."""
    assert process.stdout is not None
    patience = threading.Timer(PATIENCE_SECONDS, process.kill)
    patience.start()
    heard = ""
    try:
        for line in process.stdout:
            heard += line
            if words in line:
                return line
    finally:
        patience.cancel()
    raise AssertionError(f"never said {words!r}, only: {heard}")
