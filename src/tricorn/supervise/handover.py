"""The public port between two gateways: Python's, in a process that lives on without it, and a native one, a process for each time it has it.

Both accept for a moment, since the successor is ready before the one before it is asked to leave; what was accepted is answered
by whoever accepted it. So no request is refused, cut or lost. docs/handover.md says what clients may rely on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tricorn.supervise.addresses import forget, numbered
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.health import Pulse
from tricorn.supervise.keeper import Keeper
from tricorn.supervise.program import Program
from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tricorn.supervise.child import Child, ProcessPlan
    from tricorn.supervise.keeper import Surroundings

_log = get_logger("tricorn.supervise")
_HASTE_SECONDS = 0.1


class FrontKeeper(Keeper):
    """Keeps the process up that has the Python gateway, and tells it whether to have the port."""

    def __init__(self, plan: ProcessPlan, around: Surroundings) -> None:
        super().__init__(plan, around, lambda: {"gateway": "open" if self.wanted else "closed"})
        self.wanted = True
        """Whether Python is to have the port; a start of the process goes by it."""
        self._telling = asyncio.Lock()

    async def begin(self) -> None:
        """As any process; what was decided about the port meanwhile holds when this returns."""
        told = self.wanted
        await super().begin()
        if self.wanted != told:
            await self._tell()

    async def open(self) -> None:
        """Have Python take the port. Where its process is not there, it does so as it starts.

        Raises:
            SuperviseError: it cannot.
        """
        self.wanted = True
        await self._tell()

    async def leave(self) -> None:
        """Have Python leave the port: what it has accepted it answers, for as long as that takes."""
        self.wanted = False
        await self._tell()

    async def _tell(self) -> None:
        async with self._telling:  # of two who wait for an answer at once one would hear none
            child = self.child
            if child is None or not self.ready.is_set():
                return
            said = "open" if self.wanted else "leave"
            child.go(gateway=said)
            try:
                async with asyncio.timeout(self._around.limits.ready):
                    await self._answered(child, said)
            except TimeoutError as error:
                raise self._around.broken(child, f"did not answer {said!r} about the public port") from error

    async def _answered(self, child: Child, said: str) -> None:
        """Wait for the answer to a word; or for its end, and whoever keeps it up starts it again, as `wanted` says."""
        while lines := await child.lines():
            for line in lines:
                if line.get("gateway") == said:
                    return
                if "failed" in line:
                    raise SuperviseError(line["failed"], remedy=f"read why with `tricorn logs {self.plan.name}`")


class EdgeKeeper(Keeper):
    """Keeps a native gateway up while it is to have the port. Python has it whenever this one is not there.

    Args:
        front: has the port otherwise.
        moved: called with the address at which its newest process answers gRPC.
        built_anew: called instead of a start where its process has ended and another program lies there: whoever looks at that has it take
            the port again, or not.
    """

    def __init__(
        self,
        plan: ProcessPlan,
        around: Surroundings,
        word: Callable[[], Mapping[str, Any]] | None,
        front: FrontKeeper,
        *,
        moved: Callable[[str], None],
        built_anew: Callable[[], None],
    ) -> None:
        super().__init__(plan, around, word)
        self._first = plan
        self._front = front
        self._moved = moved
        self._built_anew = built_anew
        self._starts = 0
        self._turn = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._swapped = asyncio.Event()
        self._leaving: dict[asyncio.Task[None], Child] = {}
        self._program: Program | None = None

    @property
    def is_outdated(self) -> bool:
        return self._program is not None and self._program.is_outdated

    async def take(self) -> None:
        """Have it take the port, by a new process; whoever had it leaves.

        Raises:
            SuperviseError: it does not start; then all stays as it was.
        """
        async with self._turn:
            await self._take(await self._there())

    async def give(self) -> None:
        """Have it leave the port to Python.

        Raises:
            SuperviseError: Python cannot take it; then all stays as it was.
        """
        async with self._turn:
            await self._front.open()
            self._wanted.clear()
            self._swap(None, self._first)

    async def keep_up(self) -> None:
        """Start it again whenever it ends while it is to have the port; Python has it in between.

        Raises:
            SuperviseError: it ended too often. Python has the port.
        """
        limits, name = self._around.limits, self._first.name
        ends: list[float] = []
        while True:
            await self._wanted.wait()
            how, words = await self._lost()
            if not how:
                continue
            now = time.monotonic()
            ends = [end for end in ends if now - end < limits.restart_window] + [now]
            if len(ends) > limits.restarts:
                self._wanted.clear()
                raise SuperviseError(
                    f"{name} ended {len(ends)} times within {limits.restart_window:.0f} s; the last time it {how}",
                    remedy=f"read why in {self._around.home.log(name)}",
                    log=words,
                )
            pause = min(limits.backoff * 2 ** (len(ends) - 1), limits.longest_backoff)
            _log.error("the gateway ended, Python has the port", name=name, how=how, restart_in_seconds=pause)
            self._around.progress.note(f"{name} {how}; python has the port, and {name} is started again")
            await asyncio.sleep(pause)
            async with self._turn:
                if not self._wanted.is_set() or self.child is not None:
                    continue
                self.restarts += 1
                program = await self._there()
                if anew := self._program is not None and program.differs_from(self._program):
                    self._wanted.clear()
                else:
                    try:
                        await self._take(program)
                    except SuperviseError as error:
                        _log.error("the gateway did not start again", name=name, error=error.what)
                        continue
            if anew:
                self._around.progress.note(f"{name} was built anew, and is looked at before it has the port")
                self._built_anew()
            else:
                self._around.progress.note(f"{name} has the port again")

    async def stop(self, seconds: float) -> None:
        """End it, and those that still leave: nobody follows, so nothing is waited for but requests under way."""
        self._wanted.clear()
        children = [*self._leaving.values(), *([self.child] if self.child is not None else [])]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                if child.returncode is None:
                    os.kill(child.pid, signal.SIGTERM)
        if children:
            # Two signals at once would be one.
            await asyncio.sleep(_HASTE_SECONDS)
        for child in self._leaving.values():
            with contextlib.suppress(ProcessLookupError):
                if child.returncode is None:
                    os.kill(child.pid, signal.SIGTERM)
        await super().stop(seconds)
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _there(self) -> Program:
        return await asyncio.to_thread(Program, Path(self._first.command[0]))

    async def _take(self, program: Program) -> None:
        """Have the port taken by `program`, which lies there."""
        self._starts += 1
        plan = numbered_plan(self._first, self._starts)
        child = self._around.spawn(plan)
        try:
            await self._get_ready(child)
            self._moved(plan.address)
        except BaseException:
            await child.stop(0, self._around.hurry)
            forget([plan.address])
            raise
        self._program = program
        self._wanted.set()
        self._swap(child, plan)
        if self._front.wanted:
            await self._front.leave()

    def _swap(self, child: Child | None, plan: ProcessPlan) -> None:
        """From now on this process is the one; the one before leaves."""
        before, left, pulse = self.child, self.plan.address, self._pulse
        self.child, self.plan, self._pulse = child, plan, Pulse(plan.address)
        (self.ready.set if child is not None else self.ready.clear)()
        swapped, self._swapped = self._swapped, asyncio.Event()
        swapped.set()
        if before is not None:
            task = asyncio.create_task(self._see_off(before, left, pulse), name=f"{plan.name} leaves")
            self._leaving[task] = before
            task.add_done_callback(self._leaving.pop)
        elif pulse is not None:
            pulse.close()
        self._around.changed()

    async def _see_off(self, child: Child, address: str, pulse: Pulse | None) -> None:
        began = time.monotonic()
        await child.stop(self._around.limits.leave, self._around.hurry)
        if pulse is not None:  # not before: whoever watched the process may be asking still
            pulse.close()
        forget([address])
        _log.info(
            "a gateway has left", pid=child.pid, seconds=round(time.monotonic() - began, 2), status=child.returncode
        )

    async def _lost(self) -> tuple[str, str]:
        """Wait until its process ends by itself, and have Python take the port: how it ended and its last words; empty when it was replaced."""
        child = self.child
        if child is None:
            return "did not start again", ""
        ending, swapped = asyncio.ensure_future(self._end()), asyncio.ensure_future(self._swapped.wait())
        try:
            await asyncio.wait({ending, swapped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ending, swapped):
                task.cancel()
            await asyncio.gather(ending, swapped, return_exceptions=True)
        async with self._turn:
            if child is not self.child or not ending.done() or ending.cancelled():
                return "", ""
            how, _ = ending.result()
            words = child.last_words()
            child.sweep()
            self.child = None
            self.ready.clear()
            forget([self.plan.address])
            self._around.changed()
            await self._front.open()
        return how, words

    async def _seen(self, silent: float) -> None:
        """Have Python accept beside a process that stands still, so that only whoever it had accepted waits for it."""
        child, doubted = self.child, silent >= self._around.limits.doubt
        if child is None or doubted == self._front.wanted:
            return
        async with self._turn:
            if child is not self.child:
                return
            try:
                async with asyncio.timeout(self._around.limits.doubt):
                    await (self._front.open() if doubted else self._front.leave())
            except (SuperviseError, TimeoutError) as error:
                _log.error("python was asked about the public port in vain", doubted=doubted, exc_info=error)
                return
        _log.warning("python accepts beside the gateway, which is silent" if doubted else "the gateway answers again")


def numbered_plan(plan: ProcessPlan, number: int) -> ProcessPlan:
    """The same process at an address of its own: two of them run beside each other while the port changes hands."""
    address = numbered(plan.address, number)
    command = tuple(address if word == plan.address else word for word in plan.command)
    return replace(plan, command=command, address=address)
