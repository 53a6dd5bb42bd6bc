"""The one who writes the bindings, and what operators may ask of it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import cannot_write
from tricorn.telemetry import get_logger
from tricorn.wire.bindings import (
    BINDINGS_FILE,
    Binding,
    Bindings,
    describe,
    dump_bindings,
    parse_bindings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tricorn.supervise.home import Home

_log = get_logger("tricorn.supervise")


class BindingWriter:
    """Writes the bindings file of a home, whose lock its process holds; nobody else does.

    What the file said before holds at first, so an operator's choice outlives the supervisor. A file that makes no sense
    is put aside, and Python answers everything.

    Args:
        shared: contracts whose rows, idempotency keys included, all implementations keep in the same tables.
    """

    def __init__(self, home: Home, shared: Iterable[str] = ()) -> None:
        """Raises SuperviseError when the file cannot be written."""
        self._shared = frozenset(shared)
        self._path = home.path / BINDINGS_FILE
        self.current = Bindings()
        try:
            self.current = parse_bindings(self._path.read_bytes())
        except FileNotFoundError:
            self._write(self.current)
        except ValueError as error:
            aside = self._path.with_suffix(".unreadable")
            _log.error("the bindings make no sense: Python answers everything", problem=str(error), kept=str(aside))
            self._path.replace(aside)
            self._write(self.current)

    def write(
        self,
        change: Callable[[Bindings], Iterable[Binding]],
        expect_generation: int | None = None,
        *,
        forget: Iterable[str] = (),
    ) -> Bindings:
        """Replace the bindings of some targets in one step; what holds then. Those that differ get a generation of their own.

        Args:
            change: makes the new bindings from all that hold now.
            expect_generation: of the file that the change was thought out for.
            forget: methods that have no binding of their own any more.

        Raises:
            SuperviseError: somebody changed the file since, or it cannot be written; nothing is changed then.
        """
        self.check(expect_generation)
        now = self.current
        generation = now.generation + 1
        kept = {target: binding for target, binding in now.by_target.items() if target not in set(forget)}
        wanted = [self._stamped(each, now.at(each.target).generation) for each in change(now)]
        changed = {
            each.target: replace(each, generation=generation) for each in wanted if each != kept.get(each.target)
        }
        if changed or len(kept) < len(now.by_target):
            self._write(Bindings(generation, {**kept, **changed}))
        for binding in changed.values():
            _log.info("bound", target=binding.target, **describe(binding))
        return self.current

    def check(self, expect_generation: int | None) -> None:
        """See whether a change may still be made that was thought out for the file of a generation.

        Raises:
            SuperviseError: somebody changed the file since.
        """
        now = self.current.generation
        if expect_generation not in {None, now}:
            raise SuperviseError(
                f"the bindings were changed in between: their generation is {now}, not {expect_generation}",
                remedy="look at them with `tricorn status`, and say again what you want",
            )

    def _stamped(self, binding: Binding, generation: int) -> Binding:
        shared = binding.target.partition("/")[0] in self._shared
        return replace(binding, generation=generation, shared=shared)

    def _write(self, bindings: Bindings) -> None:
        text = dump_bindings(bindings)
        # What is written is what every process will make of it, or nothing is.
        made = parse_bindings(text)
        scratch = self._path.with_suffix(f".{os.getpid()}")
        try:
            descriptor = os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            scratch.replace(self._path)
        except OSError as error:
            raise cannot_write(error, self._path) from error
        finally:
            scratch.unlink(missing_ok=True)
        self.current = made
