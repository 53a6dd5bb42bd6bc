"""The rivals as processes: installed on demand into an environment of their own, started, awaited and stopped."""

import asyncio
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rivals.fill import fill

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
NAMES = ("flask", "fastapi")
WORKERS = {"flask": 3, "fastapi": 2}
"""Processes of each, for two cores: gunicorn's with four threads, uvicorn's with an event loop."""
_THREADS = 4
_CONNECTIONS = 8
_INSTALL_SECONDS = 600
_START_SECONDS = 120.0
_STOP_SECONDS = 15.0


def environment(folder: Path = ROOT / ".tricorn") -> Path:
    """The folder of the rivals' programs. Installs what is pinned, hashes checked, when it is not what was installed last."""
    there = folder / "rivals"
    there.mkdir(parents=True, exist_ok=True)
    with (there / "installing.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(there)
    return there / "bin"


def _install(there: Path) -> None:
    installed, wanted = there / "installed.txt", REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(there))
        _run(
            uv,
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--python",
            str(there / "bin/python"),
            "-r",
            str(REQUIREMENTS),
        )
        installed.write_text(wanted)


@dataclass
class Rival:
    """One of them, running on a free port with a database of its own on Agora's server."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    database: str

    @classmethod
    def start(cls, name: str, agora: str, log: Path, *, rate_factor: float = 1000.0) -> Self:
        """Makes its database from Agora's and starts it.

        Args:
            name: ``flask`` or ``fastapi``.
            agora: the administrator's URL of Agora's database.
            log: where its output goes.
            rate_factor: how far its rate limits are raised.

        Raises:
            RuntimeError: it did not begin to answer.
        """
        programs = environment()
        url = asyncio.run(fill(agora, f"rival_{name}"))
        port = _free_port()
        given = {
            **os.environ,
            "RIVAL_DATABASE": url,
            "RIVAL_RATE_FACTOR": str(rate_factor),
            "RIVAL_THREADS": str(_THREADS),
            "RIVAL_CONNECTIONS": str(_CONNECTIONS),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                _command(name, programs, port),
                cwd=ROOT / "bench",
                env=given,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        rival = cls(name, f"http://127.0.0.1:{port}", process, url)
        try:
            rival._wait(log)
        except BaseException:
            rival.stop()
            raise
        return rival

    def stop(self) -> None:
        """Ends it with all its workers."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(_STOP_SECONDS)

    def _wait(self, log: Path) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health/ready", timeout=2):  # noqa: S310 - our own address
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer:\n{log.read_text()[-2000:]}")


def _command(name: str, programs: Path, port: int) -> list[str]:
    address, workers = f"127.0.0.1:{port}", str(WORKERS[name])
    if name == "flask":
        return [
            str(programs / "gunicorn"), "--bind", address, "--worker-class", "gthread", "--workers", workers,
            "--threads", str(_THREADS), "--keep-alive", "75", "--no-control-socket", "rivals.flask_shop:app",
        ]  # fmt: skip
    host, _, number = address.partition(":")
    return [
        str(programs / "uvicorn"), "--host", host, "--port", number, "--workers", workers, "--loop", "uvloop",
        "--http", "httptools", "--no-access-log", "--log-level", "warning", "rivals.fastapi_shop:app",
    ]  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_INSTALL_SECONDS)  # noqa: S603 - our own command
