"""Moves targets by steps, and back: runs in the supervisor, beside the one writer of bindings, so that it acts when no terminal is open."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tricorn.host.targets import short_name
from tricorn.prove.cutover import ALL, CutoverPlan
from tricorn.prove.errors import ProveError
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.moving import GOING_ON, Move
from tricorn.supervise.noted import REHEARSING
from tricorn.telemetry import get_logger
from tricorn.wire.bindings import Binding

if TYPE_CHECKING:
    from tricorn.supervise.control import Control
    from tricorn.supervise.moving import Around

_log = get_logger("tricorn.supervise")

_REHEARSAL_SECONDS = 120.0


class Guard:
    """Every cutover and rehearsal of a home. One at a time for each contract."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._moves: dict[str, Move] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._rehearsals: dict[str, _Rehearsal] = {}
        self._closed = False

    def register(self, control: Control) -> None:
        """Have commands reach this."""

        async def start(arguments: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
            async for event in await self.start(arguments):
                yield event

        async def status(arguments: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
            async for event in await self.status(arguments):
                yield event

        control.handle("cutover.start", start)
        control.handle("cutover.status", status)
        control.handle("cutover.stop", self.stop)
        control.handle("rehearse", self.rehearse)

    def recover(self) -> list[str]:
        """Take back what a supervisor that was killed in the middle had moved; to be called before anything is started.

        Nobody watched in between, so a step that was on trial counts for nothing: Python answers. Gives the targets.
        """
        found = [
            binding
            for binding in self._around.writer.current.by_target.values()
            if binding.record.get("cutover") == GOING_ON or REHEARSING in binding.record
        ]
        for binding in found:
            why = "the supervisor ended in the middle"
            before = binding.record.get(REHEARSING)
            back = _read(binding, before) if before is not None else _to_python(binding, why)
            self._around.writer.write(lambda _now, back=back: [back])  # type: ignore[misc]
            facts = {"share": binding.share, "language": binding.native or binding.record.get("to", ""), "why": why}
            with contextlib.suppress(ProveError):
                shares = {"from": dict(binding.shares), "to": dict(back.shares)}
                self._around.ledger.append("went back", binding.target, "guard", **facts, **shares)
            _log.warning("a move that was interrupted was taken back", target=binding.target, share=binding.share)
        return [binding.target for binding in found]

    async def start(self, arguments: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Begin the cutover that ``plan`` describes; tells how it goes. It goes on when nobody listens any more.

        Raises:
            SuperviseError: it may not be begun, or cannot.
        """
        try:
            plan = CutoverPlan.from_json(arguments["plan"])
        except (KeyError, ValueError) as error:
            raise SuperviseError(str(error), remedy="use the command `tricorn cutover` of this version") from error
        await self._renew(plan.target, plan.short, plan.to)
        rests_on = await self._around.permit(plan.target, plan.to, True)
        plan = replace(plan, evidence=rests_on.get("evidence", ""), rehearsed=rests_on.get("rehearsed", ""))
        self._check_free(plan.target, plan.short)
        self._check_part(plan.target, plan.short, plan.to)
        now = self._around.writer.current
        held = now.at(plan.target)
        if held.native is not None and held.share >= ALL:
            raise SuperviseError(
                f"{plan.short} is answered by {held.native} already (bound by {held.by})",
                remedy=f"to begin anew from python: `tricorn rollback {plan.short}`",
            )
        own = [name for name in now.by_target if name.startswith(f"{plan.target}/")]
        if own:
            raise SuperviseError(
                f"{own[0]} is bound by itself, so it would not move with {plan.short}",
                remedy=f"`tricorn bind {_short(own[0])}=auto` first, or cut the methods over one by one",
            )
        move = self._moves[plan.target] = Move(plan, self._around)
        self._tasks[plan.target] = asyncio.create_task(move.run(), name=f"cutover {plan.target}")
        return move.events()

    async def status(self, arguments: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """How the cutover of a ``target`` went and goes on.

        Raises:
            SuperviseError: there was none since the supervisor started.
        """
        target = str(arguments.get("target", ""))
        move = self._moves.get(target)
        if move is None:
            raise SuperviseError(
                f"no cutover of {_short(target)} was begun here since the start",
                remedy="`tricorn cutover --history` lists those before",
            )
        return move.events()

    async def stop(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """End the cutover of a ``target``: it goes back to Python, and this returns when it has.

        Raises:
            SuperviseError: none goes on.
        """
        target = str(arguments.get("target", ""))
        move, task = self._moves.get(target), self._tasks.get(target)
        if move is None or task is None or move.over:
            raise SuperviseError(
                f"no cutover of {_short(target)} goes on",
                remedy=f"to have python answer: `tricorn rollback {_short(target)}`",
            )
        began = time.monotonic()
        move.stop(str(arguments.get("by", "operator")), "stopped by an operator")
        await asyncio.wait({task})
        return {"seconds": round(time.monotonic() - began, 4)}

    async def rehearse(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """A move for a rehearsal: ``target``, ``to`` (a language, ``python``, or ``before`` for what was bound before it); the first one
        also says the ``language`` that is rehearsed, so that what is moved to is what was built last, and was verified.

        Whoever rehearses and does not come back finds after two minutes that what was bound before is bound again.

        Raises:
            SuperviseError: it cannot be moved.
        """
        target, to = str(arguments.get("target", "")), str(arguments.get("to", ""))
        rehearsal = self._rehearsals.get(target)
        if to == "before":
            if rehearsal is not None:
                rehearsal.end()
                if arguments.get("facts"):
                    by = str(arguments.get("by", "operator"))
                    await asyncio.to_thread(
                        lambda: self._around.ledger.append("rehearsed", target, by, **arguments["facts"])
                    )
            return {}
        if rehearsal is None:
            language = str(arguments.get("language", to))
            await self._renew(target, _short(target), language)
            await self._around.permit(target, language, False)
            self._check_free(target, _short(target))
            rehearsal = self._rehearsals[target] = _Rehearsal(target, self._around, self._rehearsals)
        if to != "python":
            self._check_part(target, _short(target), to)
        rehearsal.move(to)
        return {}

    async def close(self) -> None:
        """End whatever goes on; its calls go back. Nothing is begun any more."""
        self._closed = True
        for rehearsal in list(self._rehearsals.values()):
            with contextlib.suppress(SuperviseError):  # what cannot be written now is taken back by the next start
                rehearsal.end()
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _renew(self, target: str, short: str, language: str) -> None:
        """Evidence and rehearsals are of what was built last: that, and no older program, is what is moved to."""
        self._check_free(target, short)
        await self._around.renew(target.partition("/")[0], language)

    def _check_free(self, target: str, short: str) -> None:
        if self._closed:
            raise SuperviseError(f"the supervisor is stopping, so {short} stays", remedy="start it again first")
        contract = target.partition("/")[0]
        busy = [move.plan.short for move in self._moves.values() if not move.over and move.contract == contract]
        busy += [_short(name) for name in self._rehearsals if name.partition("/")[0] == contract]
        if busy:
            raise SuperviseError(
                f"{busy[0]} is being moved already, so {short} must wait",
                remedy=f"follow it with `tricorn cutover {busy[0]} --follow`, or end it with `tricorn rollback {busy[0]}`",
            )

    def _check_part(self, target: str, short: str, to: str) -> None:
        trouble, _ = self._around.trouble(target.partition("/")[0], to)
        if trouble:
            raise SuperviseError(
                f"{short} cannot go to {to}: {trouble}", remedy="`tricorn status` says how far the native parts are"
            )


class _Rehearsal:
    """What was bound before a rehearsal, and the promise to bind it again."""

    def __init__(self, target: str, around: Around, among: dict[str, _Rehearsal]) -> None:
        self._target = target
        self._around = around
        self._among = among
        self._before = around.writer.current.at(target)
        self._generation = self._before.generation
        self._timer = asyncio.get_running_loop().call_later(_REHEARSAL_SECONDS, self._time_is_up)

    def move(self, to: str) -> None:
        """Have an implementation answer every call.

        Raises:
            SuperviseError: somebody else bound the target in between; so it stays, and the rehearsal is over.
        """
        now = self._around.writer.current.at(self._target)
        if now.generation != self._generation:
            self.end()
            raise SuperviseError(
                f"{_short(self._target)} was bound by {now.by} in between, so the rehearsal was ended",
                remedy=f"see `tricorn status`; `tricorn rehearse {_short(self._target)}` begins another",
            )
        shares = {} if to == "python" else {to: ALL}
        before = {"shares": dict(self._before.shares), "by": self._before.by, "auto": self._before.auto}
        record = {REHEARSING: {**before, "record": dict(self._before.record)}, "to": to}
        shared = self._before.shared
        binding = Binding(self._target, shares, 0, "cutover", auto=False, shared=shared, record=record)
        self._around.writer.write(lambda _: [binding])
        self._generation = self._around.writer.current.at(self._target).generation

    def end(self) -> None:
        """Bind what was bound before, unless somebody else bound something in between.

        Raises:
            SuperviseError: it cannot be written; it is tried again when the time is up.
        """
        if self._around.writer.current.at(self._target).generation == self._generation:
            before = self._before
            self._around.writer.write(lambda _: [before])
        self._timer.cancel()
        self._among.pop(self._target, None)

    def _time_is_up(self) -> None:
        try:
            self.end()
        except SuperviseError as error:
            _log.error("what was bound before a rehearsal cannot be bound", target=self._target, error=error.what)
            self._timer = asyncio.get_running_loop().call_later(self._around.quiet, self._time_is_up)


def _to_python(binding: Binding, why: str) -> Binding:
    return Binding(
        binding.target, {}, 0, "guard", auto=False, shared=binding.shared, record={"cutover": "went back", "why": why}
    )


def _read(binding: Binding, before: dict[str, Any]) -> Binding:
    """What was bound before a rehearsal, as its record says."""
    return Binding(
        binding.target,
        before.get("shares", {}),
        0,
        before.get("by", "operator"),
        auto=bool(before.get("auto", False)),
        shared=binding.shared,
        record=before.get("record", {}),
    )


def _short(target: str) -> str:
    contract, _, method = target.partition("/")
    return short_name(contract) + (f"/{method}" if method else "")
