"""Who answers what, and where: the two files that every process reads, as native parts come and go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from tricorn.host.references import REFERENCE
from tricorn.supervise.addresses import write_endpoints
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.moving import DONE
from tricorn.telemetry import get_logger
from tricorn.wire.bindings import AT_GATEWAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tricorn.supervise.home import Home
    from tricorn.wire.bindings import Binding, Bindings

_BY = "grow"
_log = get_logger("tricorn.supervise")


class Writer(Protocol):
    """The one who writes the bindings file."""

    @property
    def current(self) -> Bindings: ...

    def write(self, change: Callable[[Bindings], Iterable[Binding]]) -> object: ...


class Places:
    """The endpoints and the bindings of a home.

    A native part has an address only as long as it is there; a binding to a part without one is answered by Python.

    Args:
        endpoints: where Python answers each contract.
        writer: writes the bindings.
    """

    def __init__(self, home: Home, endpoints: Mapping[str, Mapping[str, list[str]]], writer: Writer) -> None:
        self._home = home
        self._endpoints = {contract: dict(at) for contract, at in endpoints.items()}
        self._writer = writer

    def open(self) -> None:
        """Begin with Python: what was bound without an operator is bound again once it was checked again."""
        self.back(list(self._writer.current.by_target))
        write_endpoints(self._home, self._endpoints)

    def arrived(self, contracts: Iterable[str], language: str, address: str) -> None:
        """A native part answers at an address from now on; who gets its answers is a matter of the bindings."""
        for contract in contracts:
            self._endpoints.setdefault(contract, {})[language] = [address]
        write_endpoints(self._home, self._endpoints)

    def left(self, contracts: Iterable[str], language: str) -> None:
        """A native part is gone for good: Python answers all of its contracts, whether that can be written down or not."""
        contracts = list(contracts)
        for contract in contracts:
            if "/" not in contract:
                self._endpoints.get(contract, {}).pop(language, None)
        try:
            write_endpoints(self._home, self._endpoints)
            self.back(contracts)
        except SuperviseError as error:
            _log.error("it cannot be written down that a native part is gone", language=language, error=error.what)

    def chosen(self, contract: str) -> bool:
        """Whether an operator decided who answers a contract."""
        return not self._writer.current.at(contract).auto

    def native(self, target: str) -> str | None:
        """The native implementation that is bound for a target; None for Python."""
        return self._writer.current.at(target).native

    def bind_at_gateway(self, methods: Iterable[str], language: str) -> None:
        """Have a native gateway answer single methods by itself, as far as no operator decided about them."""
        wanted = [method for method in methods if not self.chosen(method)]
        self._writer.write(
            lambda now: [replace(now.at(method).to(language), by=_BY, record={AT_GATEWAY: True}) for method in wanted]
        )

    def free(self, contract: str, language: str) -> list[str]:
        """What the platform may have an implementation answer: the contract, and methods of it that were cut over to it one by one, as far
        as no operator decided about them.
        """
        now = self._writer.current
        found = [now.at(target) for target in self._with_methods(contract)]
        moved = {"cutover": DONE, "to": language}
        return [each.target for each in found if each.auto and (each.target == contract or dict(each.record) == moved)]

    def bind(self, targets: Iterable[str], language: str) -> None:
        """Have an implementation answer every call of some targets."""
        self._to(language, targets)

    def release(self, contract: str) -> None:
        """Have Python answer every call of a contract that is not to be trusted to its native part, whoever bound it."""
        now = self._writer.current
        if bound := [target for target in self._with_methods(contract) if now.at(target).native]:
            self._to(REFERENCE, bound)

    def back(self, targets: Iterable[str]) -> None:
        """Have Python answer what was bound without an operator, of contracts also single methods."""
        now = self._writer.current
        wanted = {each: None for target in targets for each in self._with_methods(target)}
        if back := [target for target in wanted if now.at(target).auto and now.at(target).native is not None]:
            self._to(REFERENCE, back)

    def _with_methods(self, target: str) -> list[str]:
        """A target, and the methods of it that have bindings of their own, but for what a gateway answers by itself."""
        bindings = self._writer.current.by_target
        own = [name for name in bindings if name.startswith(f"{target}/") and not bindings[name].record.get(AT_GATEWAY)]
        return [target, *own]

    def _to(self, implementation: str, targets: Iterable[str]) -> None:
        self._writer.write(lambda now: [replace(now.at(target).to(implementation), by=_BY) for target in targets])
