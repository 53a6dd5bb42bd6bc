"""A guard with everything around it, and made-up traffic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from tests.supervise.traffic import METHOD, PRICES, Traffic

from tricorn.prove.cutover import CutoverPlan
from tricorn.prove.ledger import Ledger
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.guard import Guard
from tricorn.supervise.home import Home
from tricorn.supervise.moving import Around
from tricorn.supervise.noted import NotedWriter
from tricorn.wire.bindings import Binding, Bindings

PLAN = CutoverPlan(
    target=PRICES,
    short="price",
    to="rust",
    steps=(100, 2500, 10_000),
    methods=(METHOD,),
    shadowed=(METHOD,),
    by="ada",
    sample=1000,
    step_seconds=30,
    watch_seconds=0.05,
)


class RecordingWriter(NotedWriter):
    """Remembers each share that it bound, and by whom."""

    def __init__(self, home: Path) -> None:
        super().__init__(Home(home), (), Ledger(home))
        self.written: list[tuple[int, str]] = []

    def write(
        self,
        change: Callable[[Bindings], Iterable[Binding]],
        expect_generation: int | None = None,
        *,
        forget: Iterable[str] = (),
    ) -> Bindings:
        before, now = self.current, super().write(change, expect_generation, forget=forget)
        changed = [now.at(target) for target in now.by_target if now.at(target) != before.by_target.get(target)]
        self.written += [(binding.share, binding.by) for binding in changed]
        return now


class Bench:
    """A guard with everything around it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.writer = RecordingWriter(home)
        self.ledger = Ledger(home)
        self.traffic = Traffic(lambda: self.writer.current)
        self.state = ("", 0)
        self.refused = ""
        """Why nothing may be cut over; empty: it may."""
        trouble = (lambda *_: self.state, self._renew, self._permit)
        self.guard = Guard(Around(self.writer, self.ledger, self.traffic, *trouble, pulse=0.001, quiet=0.05))

    async def _renew(self, *_: str) -> None: ...

    async def _permit(self, *_: object) -> dict[str, str]:
        if self.refused:
            raise SuperviseError(self.refused, remedy="verify it")
        return {"evidence": "e" * 64}

    def bind(self, target: str, shares: dict[str, int], by: str = "operator", *, auto: bool = False) -> None:
        self.writer.write(lambda _: [Binding(target, shares, by=by, auto=auto)])

    @property
    def held(self) -> Binding:
        return self.writer.current.at(PRICES)

    @property
    def events(self) -> list[str]:
        return [entry.event for entry in self.ledger.entries()]

    async def run(self, plan: CutoverPlan = PLAN) -> list[dict[str, Any]]:
        return [event async for event in await self.guard.start({"plan": plan.to_json()})]


async def until(events: AsyncIterator[dict[str, Any]], name: str, share: int | None = None) -> dict[str, Any]:
    async with asyncio.timeout(60):
        async for event in events:
            if event["event"] == name and share in {None, event.get("share")}:
                return event
    raise AssertionError(f"never {name} at {share}")
