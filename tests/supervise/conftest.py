from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.supervise.growing import Spec

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNER = Path(__file__).with_name("runner.py")
PATIENCE_SECONDS = 60
SHOP = {"name": "shop", "gateway": True}


class Run:
    """A supervisor in a process of its own, and what it says."""

    def __init__(self, home: Path, spec: dict[str, Any], port: int = 0) -> None:
        home.mkdir(parents=True, exist_ok=True)
        plan = home.parent / f"{home.name}-plan.json"
        plan.write_text(json.dumps(spec))
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, str(RUNNER), str(home), str(port), str(plan)],
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.url = ""

    def until(self, method: str) -> Any:
        """Read what it says until `method`, and return its arguments."""
        assert self.process.stdout is not None
        heard = []
        patience = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        patience.start()
        try:
            for line in self.process.stdout:
                name, arguments = json.loads(line)
                heard.append(name)
                if name == "ready":
                    self.url = arguments[0]["url"]
                if name == method:
                    return arguments
        finally:
            patience.cancel()
        raise AssertionError(f"never said {method!r}, only {heard}")

    def get(self, path: str = "/") -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - our own URL
            return json.loads(answer.read())

    def crash(self) -> None:
        with contextlib.suppress(OSError):
            self.get("/crash")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)

    def family(self) -> list[psutil.Process]:
        family: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return family

    def end(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*self.family(), psutil.Process(self.process.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[Spec]:
    with tempfile.TemporaryDirectory(prefix="tc") as sockets:
        yield Spec(tmp_path, Path(sockets))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    runs: list[Run] = []

    def begin(spec: dict[str, Any] | None = None, *, home: str = "home", port: int = 0) -> Run:
        run = Run(tmp_path / home, spec or {"processes": [SHOP]}, port)
        runs.append(run)
        return run

    yield begin
    for run in runs:
        run.end()
