"""One process kept up: started, waited for, watched, started again when it ends or falls silent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tricorn.supervise.child import Child, ProcessPlan
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.health import Pulse
from tricorn.supervise.home import cannot_write
from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from tricorn.supervise.home import Home
    from tricorn.supervise.limits import Limits
    from tricorn.supervise.progress import Progress

_log = get_logger("tricorn.supervise")


@dataclass
class Surroundings:
    """What every process of a run shares.

    Args:
        changed: called when a process was started, is ready or has ended, so that the state file says so.
        word: what a process is told when it may begin.
        environment: variables that every process gets.
        hurry: set once nothing is waited for any more.
    """

    home: Home
    limits: Limits
    progress: Progress
    changed: Callable[[], None]
    public: socket.socket | None = None
    word: dict[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def spawn(self, plan: ProcessPlan) -> Child:
        """Start a process; it waits for its word.

        Raises:
            SuperviseError: it cannot be started, or its log not be written.
        """
        plan = replace(plan, environment={**self.environment, **plan.environment})
        child = Child(plan, self.home.log(plan.name))
        try:
            child.start(self.public.fileno() if self.public is not None else None)
        except OSError as error:
            if error.filename == str(child.log):
                raise cannot_write(error, self.home.path) from error
            raise SuperviseError(
                f"{plan.name} cannot be started: {error.strerror}", remedy=f"look at {plan.command[0]}"
            ) from error
        return child

    def broken(self, child: Child, how: str) -> SuperviseError:
        """The error that says how a process failed."""
        if self.home.is_full:
            return cannot_write(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self.home.path)
        return SuperviseError(
            f"{child.plan.name} {how}",
            remedy=f"read why in {child.log}, or with `tricorn logs {child.plan.name}`",
            log=child.last_words(),
        )


class Keeper:
    """Keeps one process up.

    Args:
        plan: the process.
        around: what it shares with the others.
        word: what it alone is told when it may begin.
    """

    def __init__(
        self, plan: ProcessPlan, around: Surroundings, word: Callable[[], Mapping[str, Any]] | None = None
    ) -> None:
        self.plan = plan
        self.said: dict[str, Any] = {}
        """What it said before it was ready."""
        self.restarts = 0
        self.child: Child | None = None
        self.ready = asyncio.Event()
        self._is_replaced = False
        """Whether its process is ended to be started again: that is no failure."""
        self._around = around
        self._word = word
        self._pulse = Pulse(plan.address) if plan.address else None

    @property
    def pid(self) -> int | None:
        """Of its last run; None before the first, and once it was stopped."""
        return self.child.pid if self.child is not None else None

    @property
    def is_outdated(self) -> bool:
        """Whether its program was built anew since its process began. What nobody builds never is."""
        return False

    async def renew(self) -> None:
        """Have the program run as it was built last, in place of an older one, so that it can be looked at. What nobody builds is left alone,
        and so is what has the public port.

        Raises:
            SuperviseError: it does not get ready.
        """

    def spawn(self) -> Child:
        """Start it; it prepares itself and waits.

        Raises:
            SuperviseError: it cannot be started.
        """
        self.child = self._around.spawn(self.plan)
        return self.child

    async def begin(self) -> None:
        """Let it begin, and wait until it says it is ready.

        Raises:
            SuperviseError: it ended instead, or took too long.
        """
        child = self.child or self.spawn()
        await self._get_ready(child)
        self.ready.set()
        self._around.changed()

    async def _get_ready(self, child: Child) -> None:
        """Let a process begin, and wait until it says it is ready.

        Raises:
            SuperviseError: it ended instead, or took too long.
        """
        child.go(**{**self._around.word, **(self._word() if self._word is not None else {})})
        seconds = self._around.limits.ready
        try:
            async with asyncio.timeout(seconds):
                while lines := await child.lines():
                    for line in lines:
                        self.said.update(line)
                    if any("ready" in line for line in lines):
                        return
                status = await child.wait()
        except TimeoutError as error:
            raise self._around.broken(child, f"did not get ready within {seconds:.0f} s") from error
        raise self._around.broken(child, ended(status) + " before it was ready")

    async def keep_up(self) -> None:
        """Start it again whenever it ends, or is ended because it gives no sign of life.

        Raises:
            SuperviseError: it ended too often.
        """
        limits, name = self._around.limits, self.plan.name
        ends: list[float] = []
        while True:
            how, child = await self._end()
            words = child.last_words()
            child.sweep()
            self.ready.clear()
            self._around.changed()
            now = time.monotonic()
            replaced, self._is_replaced = self._is_replaced, False
            ends = [end for end in ends if now - end < limits.restart_window] + ([] if replaced else [now])
            if len(ends) > limits.restarts:
                raise SuperviseError(
                    f"{name} ended {len(ends)} times within {limits.restart_window:.0f} s; the last time it {how}",
                    remedy=f"read why in {child.log}",
                    log=words,
                )
            pause = 0.0 if replaced else min(limits.backoff * 2 ** (len(ends) - 1), limits.longest_backoff)
            _log.error("a process ended", name=name, how=how, restart_in_seconds=pause, replaced=replaced)
            self._around.progress.note(f"{name} {how}; it is started again")
            await asyncio.sleep(pause)
            self.restarts += 1
            try:
                await self._start_again()
            except SuperviseError as error:
                _log.error("a process did not start again", name=name, error=error.what)
                continue
            _log.info("a process is up again", name=name)
            self._around.progress.note(f"{name} is up again")
            self._came_back()

    async def stop(self, seconds: float) -> None:
        """SIGTERM, and after `seconds` SIGKILL."""
        self.ready.clear()
        child, self.child = self.child, None
        if child is not None:
            await child.stop(seconds, self._around.hurry)
        if self._pulse is not None:
            self._pulse.close()

    async def _start_again(self) -> None:
        """Start it after its end, and wait until it is ready; nothing of it is left when it does not get so far.

        Raises:
            SuperviseError: it cannot be started, ended instead, or took too long.
        """
        again = self.spawn()
        self._around.changed()
        try:
            await self.begin()
        except SuperviseError:
            await again.stop(0, self._around.hurry)
            raise

    async def _end(self) -> tuple[str, Child]:
        """Wait for the end of the process as it runs now; how it ended."""
        child = self.child or self.spawn()
        watch = asyncio.ensure_future(self._silence())
        wait = asyncio.ensure_future(child.wait())
        try:
            await asyncio.wait({watch, wait}, return_when=asyncio.FIRST_COMPLETED)
            if wait.done():
                return ended(wait.result()), child
            await child.stop(0, self._around.hurry)
        finally:
            for task in (watch, wait):
                task.cancel()
            await asyncio.gather(watch, wait, return_exceptions=True)
        return f"gave no sign of life for {self._around.limits.silent:.0f} s and was ended", child

    async def _silence(self) -> None:
        """Return once it has not answered for too long. Questions are counted, not time: a supervisor that slept blames nobody."""
        if self._pulse is None:
            await asyncio.Event().wait()
            return
        limits = self._around.limits
        missed = 0.0
        while missed < limits.silent:
            began = time.monotonic()
            answer = await asyncio.to_thread(self._pulse.serving, limits.pulse)
            missed = 0.0 if answer is not None else missed + limits.pulse
            await self._seen(missed)
            await asyncio.sleep(max(0.0, limits.pulse - (time.monotonic() - began)))

    async def _seen(self, silent: float) -> None:
        """Told after each question for how many seconds there was no answer."""

    def _came_back(self) -> None:
        """Told once it is ready again."""


def ended(status: int) -> str:
    """What an exit status says; negative for a signal."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
