"""One supervised process: its descriptors, its log, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LOG_BYTES = 20_000_000
_TAIL_BYTES = 20_000


@dataclass(frozen=True)
class ProcessPlan:
    """What to run. `command` gets `--life-fd N --ready-fd M`, and `--public-fd P` if it holds the gateway.

    At `address` (`unix:PATH` or `HOST:PORT`) it answers gRPC, its health among it; empty: nowhere.
    """

    name: str
    command: tuple[str, ...]
    gateway: bool = False
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A process that was started from a plan. Its output goes to its log, never to a pipe that could fill up."""

    def __init__(self, plan: ProcessPlan, log: Path) -> None:
        self.plan = plan
        self.log = log
        self._log_offset = 0
        self._ready_reader = -1
        self._life_writer = -1
        self._begun = b""
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    def start(self, public: int | None = None) -> None:
        """Start it; it prepares itself, but waits for `go` before it touches anything others share.

        Raises:
            OSError: it cannot be started, or its log not be written.
        """
        self._rotate_log()
        ready_reader, ready_writer = os.pipe()
        life_reader, life_writer = os.pipe()
        passed = [ready_writer, life_reader]
        command = [*self.plan.command, "--ready-fd", str(ready_writer), "--life-fd", str(life_reader)]
        if self.plan.gateway and public is not None:
            passed.append(public)
            command += ["--public-fd", str(public)]
        try:
            with self.log.open("ab") as log:
                self._log_offset = log.tell()
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self.plan.environment},
                    pass_fds=passed,
                    start_new_session=True,  # a terminal's Ctrl-C is the supervisor's to pass on, in order
                )
        except BaseException:
            os.close(ready_reader)
            os.close(life_writer)
            raise
        finally:
            os.close(ready_writer)
            os.close(life_reader)
        os.set_blocking(ready_reader, False)
        self._ready_reader, self._life_writer = ready_reader, life_writer

    def go(self, **word: Any) -> None:
        """Let it begin; said again, a word for one that listens to more."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._life_writer, json.dumps(word).encode() + b"\n")

    async def lines(self) -> list[dict[str, Any]]:
        """The next lines it wrote to its ready pipe; empty once it closed the pipe or ended.

        A line is "ready", or a JSON object about how far it is.
        """
        lines: list[bytes] = []
        while not lines:
            said = await self._said()
            if not said:
                return []
            *lines, self._begun = (self._begun + said).split(b"\n")
        return [{"ready": True} if line == b"ready" else json.loads(line) for line in lines if line]

    async def _said(self) -> bytes:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._ready_reader, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._ready_reader)
        return os.read(self._ready_reader, 65536)

    async def wait(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        while (status := self._process.poll()) is None:  # noqa: ASYNC110 - no event tells of it everywhere
            await asyncio.sleep(0.02)
        return status

    async def stop(self, seconds: float, hurry: asyncio.Event) -> None:
        """SIGTERM, and SIGKILL to all it started when it is not gone after `seconds` or when there is a hurry."""
        try:
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._ended_or(hurry)
        finally:
            self.sweep()  # also when whoever waits for this is cancelled
        await self.wait()

    async def _ended_or(self, hurry: asyncio.Event) -> None:
        waits = {asyncio.ensure_future(self.wait()), asyncio.ensure_future(hurry.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def sweep(self) -> None:
        """Kill whatever is left of its process group, then close the pipes. Done again, it does nothing."""
        if self._ready_reader < 0:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for descriptor in (self._ready_reader, self._life_writer):
            if descriptor >= 0:
                os.close(descriptor)
        self._ready_reader = self._life_writer = -1

    def last_words(self, lines: int = 12) -> str:
        """The end of what this run of it wrote to its log."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_offset, size - _TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        return ""

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_BYTES:
                self.log.replace(self.log.with_name(self.log.name + ".1"))
