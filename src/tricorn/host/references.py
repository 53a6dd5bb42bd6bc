"""Whether the parts of a ``tricorn.toml`` fit together: each names what is there, and Python can answer everything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tricorn.wire.bindings import GATEWAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tricorn.host.manifest import Declared, Native, ProcessPart, Shape

__all__ = ["GATEWAY", "NAME", "REFERENCE", "check_references"]

NAME = r"^[a-z][a-z0-9_]{0,30}$"
REFERENCE = "python"
"""The implementation that every contract has."""

_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w*)\}")


def check_references(said: Declared) -> None:
    """Looks at what one part of the file says about another.

    Raises:
        ValueError: Something does not fit; the text says where.
    """
    for kind, names in (("contexts", said.contexts), ("natives", said.natives), ("processes", said.processes)):
        for name in names:
            if not re.match(NAME, name):
                raise ValueError(f"{kind}.{name}: a name is lower case letters, digits and underscores")
    contracts = {contract for context in said.contexts.values() for contract in context.contracts}
    taken: dict[str, str] = {}
    for name, native in said.natives.items():
        _check_native(name, native, contracts, taken)
        _check_databases(name, native, said)
    _check_methods(said.natives, contracts, taken)
    for name, process in said.processes.items():
        _check_process(name, process, said)
    for name, shape in said.shapes.items():
        _check_shape(name, shape, said)


def _check_native(name: str, native: Native, contracts: Iterable[str], taken: dict[str, str]) -> None:
    where = f"natives.{name}"
    if native.language == REFERENCE:
        raise ValueError(f"{where}: its language is {REFERENCE!r}, which is the reference's; name its own")
    if not native.contracts and not native.gateway:
        raise ValueError(f"{where}: it answers nothing; give it contracts, or let it be the gateway")
    for word in native.build:
        unknown = [each for each in _PLACEHOLDER.findall(word) if each != "build"]
        if unknown:
            raise ValueError(f"{where}.build: there is no {{{unknown[0]}}}; {{build}} is the folder that it builds in")
    for contract in native.shared:
        if contract not in native.contracts:
            raise ValueError(f"{where}: {contract} is shared, but none of its contracts")
    for contract in native.contracts:
        if contract not in contracts:
            raise ValueError(f"{where}: no context has the contract {contract!r}")
        if contract in taken:
            raise ValueError(f"{where}: {contract} is answered by natives.{taken[contract]} already")
        taken[contract] = name


def _check_databases(name: str, native: Native, said: Declared) -> None:
    for key, contexts in (("databases", native.databases), ("reads", native.reads)):
        for context in contexts:
            if context not in said.contexts:
                raise ValueError(f"natives.{name}.{key}: no context is called {context!r}")
            if not said.contexts[context].database:
                raise ValueError(f"natives.{name}.{key}: {context} has no database")


def _check_methods(natives: Mapping[str, Native], contracts: Iterable[str], taken: Mapping[str, str]) -> None:
    """What belongs to the gateway: one part has it, and the methods that it answers itself are of contracts of others."""
    gateways = [name for name, native in natives.items() if native.gateway]
    if len(gateways) > 1:
        raise ValueError(f"natives.{gateways[1]}: natives.{gateways[0]} is the gateway already")
    for name, native in natives.items():
        if native.methods and not native.gateway:
            raise ValueError(
                f"natives.{name}: single methods are answered by the gateway only; name its contract instead"
            )
        for method in native.methods:
            contract, _, said = method.partition("/")
            if contract not in contracts or not re.fullmatch(r"[A-Z]\w*", said):
                raise ValueError(f"natives.{name}: {method!r} is no package.Service/Method of a context's contract")
            if taken.get(contract) == name:
                raise ValueError(f"natives.{name}: {method} is among its contracts already")


def _check_process(name: str, process: ProcessPart, said: Declared) -> None:
    where = f"processes.{name}"
    unknown = [context for context in process.contexts if context not in said.contexts]
    if unknown:
        raise ValueError(f"{where}: no context is called {unknown[0]!r}")
    if process.native and process.native not in said.natives:
        raise ValueError(f"{where}: no native part is called {process.native!r}")
    if bool(process.native) == bool(process.contexts):
        raise ValueError(f"{where}: a process has either contexts or one native part")
    if process.native and process.gateway:
        raise ValueError(
            f"{where}: the gateway is in a process with contexts; natives.{process.native}.gateway says that it can be it"
        )


def _check_shape(name: str, shape: Shape, said: Declared) -> None:
    where = f"shapes.{name}"
    unknown = [process for process in shape.processes if process not in said.processes]
    if unknown:
        raise ValueError(f"{where}: no process is called {unknown[0]!r}")
    twice = [process for process in shape.processes if shape.processes.count(process) > 1]
    if twice:
        raise ValueError(f"{where}: {twice[0]!r} is listed twice")
    natives = [said.processes[process].native for process in shape.processes if said.processes[process].native]
    hosted = {context for process in shape.processes for context in said.processes[process].contexts}
    reference = {contract for context in hosted for contract in said.contexts[context].contracts}
    fronts = [process for process in shape.processes if said.processes[process].gateway]
    for native in natives:
        if said.natives[native].gateway and len(fronts) != 1:
            raise ValueError(
                f"{where}: natives.{native} takes the public port over from Python and gives it back, so exactly one process with gateway = true"
                f" is needed, not {len(fronts)}"
            )
        if natives.count(native) > 1:
            raise ValueError(f"{where}: natives.{native} is in two of its processes")
        answered = [
            target.partition("/")[0] for target in (*said.natives[native].contracts, *said.natives[native].methods)
        ]
        missing = [contract for contract in answered if contract not in reference]
        if missing:
            raise ValueError(f"{where}: {missing[0]} needs its Python too, since that is what calls fall back to")
    if shape.grows and not natives:
        raise ValueError(f"{where}: it grows, but none of its processes is a native part")
