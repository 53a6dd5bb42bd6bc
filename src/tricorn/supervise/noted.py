"""What is bound without a guard is in the ledger, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tricorn.prove.errors import ProveError
from tricorn.supervise.binding import BindingWriter
from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tricorn.prove.ledger import Ledger
    from tricorn.supervise.home import Home
    from tricorn.wire.bindings import Binding, Bindings

REHEARSING = "rehearsing"
"""Where the record of a binding keeps what was bound before a rehearsal."""

_log = get_logger("tricorn.supervise")


class NotedWriter(BindingWriter):
    """A writer of bindings that enters each share that changes in the ledger, but for what cutovers and rehearsals enter themselves."""

    def __init__(self, home: Home, shared: Collection[str], ledger: Ledger) -> None:
        super().__init__(home, shared)
        self._ledger = ledger

    def write(
        self,
        change: Callable[[Bindings], Iterable[Binding]],
        expect_generation: int | None = None,
        *,
        forget: Iterable[str] = (),
    ) -> Bindings:
        """As any writer does it. A ledger that cannot be written is logged, and keeps nobody from binding."""
        before = self.current
        now = super().write(change, expect_generation, forget=forget)
        for target in before.by_target.keys() | now.by_target.keys():
            was, binding = before.at(target), now.at(target)
            if binding.shares == was.shares or (binding.record.get("cutover") and binding.by != "grow"):
                continue
            if REHEARSING in {*binding.record, *was.record}:
                continue
            shares = {"from": dict(was.shares), "to": dict(binding.shares)}
            by = binding.by if target in now.by_target else "operator"
            try:
                self._ledger.append("bound", target, by, auto=binding.auto, **shares)
            except ProveError as error:
                _log.error("the ledger could not be written", target=target, error=error.what)
        return now
