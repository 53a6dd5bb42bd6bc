"""Whether the parts of a ``tricorn.toml`` fit together: each names what is there, and Python can answer everything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tricorn.host.manifest import Declared, Native, ProcessPart, Shape

NAME = r"^[a-z][a-z0-9_]{0,30}$"
REFERENCE = "python"
"""The implementation that every contract has."""


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
    for name, process in said.processes.items():
        _check_process(name, process, said)
    for name, shape in said.shapes.items():
        _check_shape(name, shape, said)


def _check_native(name: str, native: Native, contracts: Iterable[str], taken: dict[str, str]) -> None:
    where = f"natives.{name}"
    if native.language == REFERENCE:
        raise ValueError(f"{where}: its language is {REFERENCE!r}, which is the reference's; name its own")
    for contract in native.shared:
        if contract not in native.contracts:
            raise ValueError(f"{where}: {contract} is shared, but none of its contracts")
    for contract in native.contracts:
        if contract not in contracts:
            raise ValueError(f"{where}: no context has the contract {contract!r}")
        if contract in taken:
            raise ValueError(f"{where}: {contract} is answered by natives.{taken[contract]} already")
        taken[contract] = name


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
        raise ValueError(f"{where}: the gateway is in a process with contexts")


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
    for native in natives:
        if natives.count(native) > 1:
            raise ValueError(f"{where}: natives.{native} is in two of its processes")
        missing = [contract for contract in said.natives[native].contracts if contract not in reference]
        if missing:
            raise ValueError(f"{where}: {missing[0]} needs its Python too, since that is what calls fall back to")
    if shape.grows and not natives:
        raise ValueError(f"{where}: it grows, but none of its processes is a native part")
