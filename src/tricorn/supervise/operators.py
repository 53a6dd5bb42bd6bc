"""What operators may ask of the one who writes the bindings: `bind` and `rollback`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.noted import REHEARSING
from tricorn.wire.bindings import ALL, AT_GATEWAY, GATEWAY, REFERENCE, Binding, Bindings, describe
from tricorn.wire.endpoints import ENDPOINTS_FILE, known_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tricorn.supervise.binding import BindingWriter
    from tricorn.supervise.control import Control
    from tricorn.supervise.home import Home

AUTO = "auto"
"""In place of an implementation: let the platform decide again."""


class Edge(Protocol):
    """The native part that can be the gateway."""

    @property
    def language(self) -> str: ...

    @property
    def methods(self) -> Sequence[str]:
        """Those that it answers by itself while it has the port."""

    @property
    def has_port(self) -> bool: ...

    async def choose(self, implementation: str) -> None:
        """Have an implementation take the port; raises SuperviseError when it cannot, and then nothing has changed."""


class Operators:
    """Answers them. What one of them bound or rolled back stays so, over restarts too, until it is given back to the platform.

    Args:
        on_auto: is told the contract that was given back.
        edge: the native part that can be the gateway, where there is one.
    """

    def __init__(
        self,
        home: Home,
        writer: BindingWriter,
        on_auto: Callable[[str], None] = lambda _: None,
        edge: Callable[[], Edge | None] = lambda: None,
    ) -> None:
        self._home = home
        self._writer = writer
        self._on_auto = on_auto
        self._edge = edge

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
        expected = said.get("expectGeneration")
        if target == GATEWAY:
            self._writer.check(expected)
            await self._take_port(implementation)
            expected = None
        elif implementation not in {AUTO, REFERENCE, *self._running(target)}:
            running = ", ".join([REFERENCE, *self._running(target)])
            raise SuperviseError(
                f"no {implementation} implementation of {target} runs here",
                remedy=f"choose one that does ({running}), or start a shape that has it and wait until it is built",
            )

        def change(now: Bindings) -> list[Binding]:
            binding = now.at(target)
            if implementation == AUTO:
                # What a rehearsal would bind again is no longer what is wanted.
                record = {} if REHEARSING in binding.record else binding.record
                return [] if method else [replace(binding, auto=True, record=record)]
            record = {AT_GATEWAY: True} if self._at_gateway(target, implementation) else {}
            return [replace(binding.to(implementation, share), by="operator", auto=False, record=record)]

        forget = [target] if method and implementation == AUTO else []
        answer = self._write(target, change, forget=forget, expected=expected)
        if implementation == AUTO:
            self._on_auto(contract)
        return answer

    async def rollback(self, said: dict[str, Any]) -> dict[str, Any]:
        """Have Python answer every call of a contract, or of a method, from now on. Nothing is asked, so that nothing can stand in the way.

        Raises:
            SuperviseError: of the gateway only: Python cannot take the port.
        """
        target = str(said["target"])
        if target == GATEWAY:
            await self._take_port(REFERENCE)

        def change(now: Bindings) -> list[Binding]:
            return [replace(now.at(target).to(REFERENCE), by="operator", auto=False, shadow=None, record={})]

        return self._write(target, change, forget=_below(self._writer.current, target))

    async def _take_port(self, implementation: str) -> None:
        """Have an implementation take the public port before anything is written about it.

        Raises:
            SuperviseError: there is none, or it cannot.
        """
        edge = self._edge()
        if edge is None:
            if implementation in {AUTO, REFERENCE}:
                return
            raise SuperviseError(
                "the shape that runs here has no native gateway", remedy="start one that has: `tricorn up --shape grow`"
            )
        if implementation not in {AUTO, REFERENCE, edge.language}:
            raise SuperviseError(
                f"there is no gateway in {implementation}", remedy=f"choose {REFERENCE}, {edge.language} or {AUTO}"
            )
        if implementation != AUTO:
            await edge.choose(implementation)

    def _at_gateway(self, target: str, implementation: str) -> bool:
        edge = self._edge()
        return edge is not None and implementation == edge.language and target in edge.methods

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
        known = known_endpoints(self._home.path / ENDPOINTS_FILE).get(target.partition("/")[0], {})
        edge = self._edge()
        own = {edge.language} if edge is not None and edge.has_port and target in edge.methods else set()
        return sorted({*known, *own} - {REFERENCE})


def _below(bindings: Bindings, target: str) -> list[str]:
    """The methods of a contract that have bindings of their own."""
    return sorted(name for name in bindings.by_target if name.startswith(f"{target}/"))


def _described(bindings: Bindings, name: str) -> dict[str, Any]:
    """A binding in words of the file; what holds for a method without one is its contract's."""
    binding = bindings.by_target.get(name) or bindings.at(name.partition("/")[0])
    return {"target": name, **describe(binding)}
