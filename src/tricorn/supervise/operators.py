"""What operators may ask of the one who writes the bindings: `bind` and `rollback`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tricorn.supervise.addresses import ENDPOINTS_FILE
from tricorn.supervise.errors import SuperviseError
from tricorn.wire.bindings import ALL, REFERENCE, Binding, Bindings, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tricorn.supervise.binding import BindingWriter
    from tricorn.supervise.control import Control
    from tricorn.supervise.home import Home

AUTO = "auto"
"""In place of an implementation: let the platform decide again."""


class Operators:
    """Answers them. What one of them bound or rolled back stays so, over restarts too, until it is given back to the platform.

    Args:
        on_auto: is told the contract that was given back.
    """

    def __init__(self, home: Home, writer: BindingWriter, on_auto: Callable[[str], None] = lambda _: None) -> None:
        self._home = home
        self._writer = writer
        self._on_auto = on_auto

    def listen(self, control: Control) -> None:
        """Have their commands come here."""
        control.handle("bind", self.bind)
        control.handle("rollback", self.rollback)

    async def bind(self, said: dict[str, Any]) -> dict[str, Any]:
        """Give an implementation a share (basis points) of the calls of a contract or a method.

        Raises:
            SuperviseError: it does not run here, or somebody changed the bindings since `expectGeneration`.
        """
        target, implementation, share = str(said["target"]), str(said["implementation"]), int(said.get("share", ALL))
        contract, _, method = target.partition("/")
        if implementation not in {AUTO, REFERENCE, *self._running(target)}:
            running = ", ".join([REFERENCE, *self._running(target)])
            raise SuperviseError(
                f"no {implementation} implementation of {target} runs here",
                remedy=f"choose one that does ({running}), or start a shape that has it and wait until it is built",
            )

        def change(now: Bindings) -> list[Binding]:
            binding = now.at(target)
            if implementation == AUTO:
                return [] if method else [replace(binding, auto=True)]
            return [replace(binding.to(implementation, share), by="operator", auto=False, record={})]

        forget = [target] if method and implementation == AUTO else []
        answer = self._write(target, change, forget=forget, expected=said.get("expectGeneration"))
        if implementation == AUTO:
            self._on_auto(contract)
        return answer

    async def rollback(self, said: dict[str, Any]) -> dict[str, Any]:
        """Have Python answer every call of a contract, or of a method, from now on. Nothing is asked, so that nothing can stand in the way."""
        target = str(said["target"])

        def change(now: Bindings) -> list[Binding]:
            return [replace(now.at(target).to(REFERENCE), by="operator", auto=False, shadow=None, record={})]

        return self._write(target, change, forget=_below(self._writer.current, target))

    def _write(
        self,
        target: str,
        change: Callable[[Bindings], Iterable[Binding]],
        *,
        forget: list[str],
        expected: int | None = None,
    ) -> dict[str, Any]:
        before = self._writer.current
        now = self._writer.write(change, expected, forget=forget)
        changed = [target, *(name for name in forget if name != target)]
        return {
            "generation": now.generation,
            "was": [_described(before, name) for name in changed],
            "now": [_described(now, name) for name in changed],
            "beside": [_described(now, name) for name in _below(now, target)],
        }

    def _running(self, target: str) -> list[str]:
        """The native implementations that have an address now."""
        try:
            said = json.loads((self._home.path / ENDPOINTS_FILE).read_bytes())
        except (OSError, ValueError):
            return []
        known = said["endpoints"].get(target.partition("/")[0], {})
        return sorted(name for name in known if name != REFERENCE) if isinstance(known, dict) else []


def _below(bindings: Bindings, target: str) -> list[str]:
    """The methods of a contract that have bindings of their own."""
    return sorted(name for name in bindings.by_target if name.startswith(f"{target}/"))


def _described(bindings: Bindings, name: str) -> dict[str, Any]:
    """A binding in words of the file; what holds for a method without one is its contract's."""
    binding = bindings.by_target.get(name) or bindings.at(name.partition("/")[0])
    return {"target": name, **describe(binding)}
