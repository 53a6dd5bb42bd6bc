"""One cutover while it goes on: step by step to the other implementation, and back by itself when a step fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tricorn.prove.cutover import ALL
from tricorn.prove.errors import ProveError
from tricorn.prove.place import percent
from tricorn.prove.step_judge import StepJudge, Verdict
from tricorn.prove.tally import Tallies
from tricorn.supervise.errors import SuperviseError
from tricorn.telemetry import get_logger
from tricorn.wire.bindings import Binding, Bindings, Shadow

if TYPE_CHECKING:
    from tricorn.prove.cutover import CutoverPlan
    from tricorn.prove.ledger import Ledger
    from tricorn.supervise.binding import BindingWriter

_log = get_logger("tricorn.supervise")

GOING_ON, DONE = "going on", "done"
"""What the record of a binding says under ``cutover`` while the guard watches it, and when it has come to a good end."""

_PULSE_SECONDS = 0.2
_QUIET_SECONDS = 5.0


@dataclass(frozen=True)
class Around:
    """What a cutover sees of the supervisor.

    Args:
        writer: writes the bindings.
        ledger: where each move is entered before it is made.
        tallies: what the processes counted of a target so far.
        trouble: why the native part of a contract, in a language, cannot be relied on, with how often it was started again.
        renew: has that part run, and looked at, as it was built last.
        permit: of a target and a language, and whether the way back must have been rehearsed: the ``evidence`` and when that was
            ``rehearsed``; raises SuperviseError where there is none.
    """

    writer: BindingWriter
    ledger: Ledger
    tallies: Callable[[str], Tallies]
    trouble: Callable[[str, str], tuple[str, int]]
    renew: Callable[[str, str], Awaitable[None]]
    permit: Callable[[str, str, bool], Awaitable[Mapping[str, str]]]
    pulse: float = _PULSE_SECONDS
    quiet: float = _QUIET_SECONDS


class _EndError(Exception):
    """The cutover is over before its end.

    Args:
        event: what the ledger calls it.
        back: whether calls go back to Python; else somebody else has bound the target, and it is left as it is.
    """

    def __init__(self, event: str, by: str, why: str, *, back: bool = True) -> None:
        super().__init__(why)
        self.event, self.by, self.why, self.back = event, by, why, back


class Move:
    """Carries out a plan. `events` tells how it goes to as many as want to know, from its beginning."""

    def __init__(self, plan: CutoverPlan, around: Around) -> None:
        self.plan = plan
        self.share = 0
        self.over = False
        self._around = around
        self._judge = StepJudge(plan.methods, plan.to, plan.limits, frozenset(plan.shadowed))
        self._events: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._asked: _EndError | None = None
        self._wake = asyncio.Event()
        self._since = 0
        self._generations = self._bound()
        _, self._restarts = around.trouble(self.contract, plan.to)
        self._auto = False
        self._figures: dict[str, Any] = {}
        self._last_wait = ""
        self._stuck = False

    @property
    def contract(self) -> str:
        return self.plan.target.partition("/")[0]

    def stop(self, by: str, why: str) -> None:
        """Have it go back to Python, soon."""
        self._asked = self._asked or _EndError("went back", by, why)
        self._wake.set()

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What happened so far, then what happens, until it is over."""
        told = 0
        while True:
            while told < len(self._events):
                yield self._events[told]
                told += 1
            if self.over:
                return
            news = self._news
            await news.wait()

    async def run(self) -> None:
        """From the first look to the end of the watch. Whatever goes wrong, calls end up where somebody answers for it."""
        plan = self.plan
        try:
            await self._step(0, "begun", plan.step_seconds)
            for share in plan.steps:
                await self._step(share, "step", plan.step_seconds)
            await self._watch()
            self._finish()
        except _EndError as end:
            await self._end(end)
        except (ProveError, SuperviseError) as error:
            await self._end(_EndError("went back", "guard", error.what))
        except asyncio.CancelledError:
            self._go_back(_EndError("went back", "guard", "the supervisor stopped in the middle"))
            raise
        except Exception as error:  # noqa: BLE001 - calls must not stay where nobody watches them
            _log.error("a cutover broke off", target=plan.target, exc_info=error)
            await self._end(_EndError("went back", "guard", f"the guard itself failed: {error!r}"))
        finally:
            self.over = True
            self._tell_all()

    async def _step(self, share: int, event: str, seconds: float) -> None:
        """Move to a share and stay until what is seen allows more.

        Raises:
            _EndError: it failed, somebody else bound the target, or there was too little to see.
        """
        await self._enter(event, share)
        self._check_writer()  # the ledger took its time, and what somebody bound meanwhile is not to be undone
        self._bind(share)
        self._judge.begin_step(share)
        self._say("step", share=share)
        began = time.monotonic()
        while True:
            verdict = await self._look()
            if verdict.kind == "go":
                self._say("passed", share=share, figures=verdict.figures)
                return
            waited = time.monotonic() - began
            if self._judge.quiet and self.plan.allow_quiet and waited > min(self._around.quiet, seconds):
                self._say("passed", share=share, quiet=True, figures={})
                return
            if waited > seconds:
                raise _EndError(
                    "went back",
                    "guard",
                    f"too little to judge {percent(share)} by in {seconds:g} s: {verdict.why}; give it longer with"
                    " --step-time, or, if nobody calls, --allow-quiet",
                )
            if verdict.why != self._last_wait:
                self._last_wait = verdict.why
                self._say("waiting", share=share, why=verdict.why, seconds=round(waited, 1))

    async def _watch(self) -> None:
        if not self.plan.watch_seconds:
            return
        await self._enter("watching", ALL)
        self._say("watching", seconds=self.plan.watch_seconds, unseen=self._judge.unseen)
        until = time.monotonic() + self.plan.watch_seconds
        while time.monotonic() < until:
            await self._look()

    async def _look(self) -> Verdict:
        """Wait a pulse and judge.

        Raises:
            _EndError: it may not go on.
        """
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._around.pulse)
        self._check_writer()
        if self._asked is not None:
            raise self._asked
        trouble, restarts = self._around.trouble(self.contract, self.plan.to)
        if trouble or restarts != self._restarts:
            raise _EndError("breach", "guard", trouble or f"the {self.plan.to} process ended and was started again")
        found = self._around.tallies(self.plan.target)
        mine = {arm: tally for arm, tally in found.arms.items() if arm.generation >= self._since}
        verdict = self._judge.take(Tallies(mine))
        self._figures = verdict.figures
        if verdict.kind == "breach":
            raise _EndError("breach", "guard", verdict.why)
        return verdict

    def _check_writer(self) -> None:
        """See whether somebody else bound the target, or a part of it.

        Raises:
            _EndError: so it is; the target stays as they bound it.
        """
        for target, generation in self._bound().items():
            if self._generations.get(target) == generation:
                continue
            binding = self._around.writer.current.at(target)
            by = binding.by
            if target == self.plan.target and binding.record.get("cutover") == GOING_ON:
                self._auto = binding.auto  # still this cutover's share, but given back to the platform
                raise _EndError("went back", "operator", "given back to the platform in between")
            if target == self.plan.target:
                raise _EndError("left", by, f"bound by {by} in between", back=False)
            raise _EndError("went back", "guard", f"{target} was bound by {by} in between")

    def _bound(self) -> dict[str, int]:
        """The generations of all bindings that decide about calls of the target."""
        now = self._around.writer.current
        found = {self.plan.target: now.at(self.plan.target).generation}
        if "/" not in self.plan.target:
            parts = {name: each for name, each in now.by_target.items() if name.partition("/")[0] == self.contract}
            found |= {name: each.generation for name, each in parts.items()}
        return found

    async def _enter(self, event: str, share: int) -> None:
        """Enter a move in the ledger before it is made.

        Raises:
            ProveError: the ledger cannot be written.
        """
        plan, before = self.plan, dict(self._around.writer.current.at(self.plan.target).shares)
        facts: dict[str, Any] = {"language": plan.to, "share": share, "from": before, "to": self._shares(share)}
        if event == "begun":
            facts |= {"evidence": plan.evidence, "rehearsed": plan.rehearsed, "steps": list(plan.steps)}
            facts |= {"limits": plan.limits.to_json(), "sample": plan.sample, "allowQuiet": plan.allow_quiet}
        if self._figures:
            facts["figures"] = self._figures  # of the step that ends here
        await asyncio.to_thread(self._around.ledger.append, event, plan.target, plan.by, **facts)

    def _bind(self, share: int) -> None:
        plan = self.plan
        shadow = Shadow(plan.to, plan.sample) if plan.shadowed and plan.sample else None
        record = {"cutover": GOING_ON, "to": plan.to}
        self._write(share, by="cutover", shadow=shadow, record=record)

    def _write(
        self, share: int, *, by: str, shadow: Shadow | None = None, record: dict[str, Any], auto: bool = False
    ) -> None:
        target, to = self.plan.target, self.plan.to

        def change(now: Bindings) -> list[Binding]:
            shared = now.at(target).shared
            own = auto or self._auto
            return [Binding(target, self._shares(share), 0, by, auto=own, shadow=shadow, shared=shared, record=record)]

        self._around.writer.write(change)
        self.share = share
        self._since = self._since or self._around.writer.current.at(target).generation
        self._generations = self._bound()
        _log.info("a cutover moved calls", target=target, implementation=to, share=share, by=by)

    def _shares(self, share: int) -> dict[str, int]:
        return {self.plan.to: share} if share else {}

    def _finish(self) -> None:
        # It rests on evidence, and holds no longer than that: the platform may take it back.
        self._write(ALL, by="cutover", record={"cutover": DONE, "to": self.plan.to}, auto=True)
        unseen = self._judge.unseen  # a method that nobody calls holds up no other, but is named
        self._note("done", self.plan.by, figures=self._figures, share=ALL, to=self._shares(ALL), unseen=unseen)
        self._say("done", share=ALL, unseen=unseen)

    async def _end(self, end: _EndError) -> None:
        """Go back, as soon as that can be written; somebody who binds the target before that has the last word."""
        began, held = time.monotonic(), self._around.writer.current.at(self.plan.target)
        while not self._go_back(end, began):
            await asyncio.sleep(self._around.pulse)
            now = self._around.writer.current.at(self.plan.target)
            if now != held:
                end = _EndError("left", now.by, f"{end.why}; bound by {now.by} in between", back=False)

    def _go_back(self, end: _EndError, began: float | None = None) -> bool:
        """Go back first, and tell afterwards; whether it could be written."""
        share, began = self.share, began or time.monotonic()
        if end.back:
            try:
                self._write(
                    0, by="operator" if end.by != "guard" else "guard", record={"cutover": "went back", "why": end.why}
                )
            except SuperviseError as error:
                if not self._stuck:
                    self._stuck = True
                    _log.error("the bindings cannot be written back", target=self.plan.target, error=error.what)
                    self._say("stuck", share=share, why=f"{end.why}; and that cannot be written: {error.what}")
                return False
        seconds = round(time.monotonic() - began, 4)
        held = dict(self._around.writer.current.at(self.plan.target).shares)
        facts = {"share": share, "from": self._shares(share), "to": held, "why": end.why, "figures": self._figures}
        self._note(end.event, end.by, seconds=seconds, **facts)
        self._say(end.event, share=share, why=end.why, by=end.by, seconds=seconds, figures=self._figures)
        return True

    def _note(self, event: str, by: str, **facts: Any) -> None:
        """Enter what has happened already: it is true even if the ledger cannot be written."""
        try:
            self._around.ledger.append(event, self.plan.target, by, language=self.plan.to, **facts)
        except ProveError as error:
            _log.error("the ledger could not be written", target=self.plan.target, event_=event, error=error.what)
            self._say("note", why=error.what)

    def _say(self, event: str, **facts: Any) -> None:
        said = {"event": event, "target": self.plan.target, "short": self.plan.short, "to": self.plan.to, **facts}
        self._events.append(said)
        if event != "waiting":
            told = {name: value for name, value in said.items() if name not in {"event", "figures"}}
            _log.info("cutover", what=event, **told)
        self._tell_all()

    def _tell_all(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
