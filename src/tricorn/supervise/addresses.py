"""Where the processes of a home answer gRPC: unix sockets in a short folder that only its user may enter."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.data.sockets import process_folder
from tricorn.host.references import REFERENCE
from tricorn.supervise.home import cannot_write
from tricorn.wire.endpoints import ENDPOINTS_FILE, LIMITS, dump_endpoints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tricorn.host.manifest import Manifest
    from tricorn.supervise.home import Home

_UNIX = "unix:"
_NUMBERS = 1000


def addresses_of(home: Home, processes: Sequence[str]) -> dict[str, str]:
    """An address for each process; the folder of the sockets is made.

    Raises:
        DataError: the folder is somebody else's, or its path is too long for a socket.
    """
    longest = max((f"{name}-{_NUMBERS}.sock" for name in processes), key=len, default="")
    folder = process_folder(home.path, longest)
    return {name: f"{_UNIX}{folder / name}.sock" for name in processes}


def numbered(address: str, number: int) -> str:
    """The address of one of several runs of a process that may overlap."""
    return f"{address.removesuffix('.sock')}-{number % _NUMBERS}.sock"


def python_endpoints(manifest: Manifest, addresses: Mapping[str, str]) -> dict[str, dict[str, list[str]]]:
    """Where Python answers each contract, the gateway's limits among them: addresses by contract and implementation."""
    found: dict[str, dict[str, list[str]]] = {}
    for process, address in addresses.items():
        for context in manifest.processes[process].contexts:
            for contract in manifest.contexts[context].contracts:
                found.setdefault(contract, {REFERENCE: []})[REFERENCE].append(address)
        if manifest.processes[process].gateway:
            found.setdefault(LIMITS, {REFERENCE: []})[REFERENCE].append(address)
    return found


def write_endpoints(home: Home, endpoints: Mapping[str, Mapping[str, list[str]]]) -> None:
    """Replace the endpoints file in one step.

    Raises:
        SuperviseError: it cannot be written.
    """
    path = home.path / ENDPOINTS_FILE
    scratch = path.with_suffix(f".{os.getpid()}")
    try:
        with os.fdopen(os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(dump_endpoints(endpoints))
        scratch.replace(path)
    except OSError as error:
        raise cannot_write(error, path) from error
    finally:
        scratch.unlink(missing_ok=True)


def forget(addresses: Iterable[str]) -> None:
    """Remove the sockets of processes that have ended, their locks, and the folder when that was all."""
    for address in addresses:
        if not address.startswith(_UNIX):
            continue
        path = Path(address.removeprefix(_UNIX))
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
            path.parent.rmdir()
