"""The gateways that are held against the reference: a second one in Python, or a native one."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from tricorn.conformance.cases import CaseError
from tricorn.conformance.parity.gateways import Behind, Candidate, python_gateway
from tricorn.conformance.started import started
from tricorn.data import ExternalServer, RoleNames
from tricorn.host import Manifest
from tricorn.host.manifest import FILE_NAME
from tricorn.host.natives import native_binary

REFERENCE = "python"


def candidate_for(manifest: Manifest, against: str, home: Path) -> Candidate:
    """What starts a candidate, by its language.

    Raises:
        CaseError: The application has no such gateway, or it is not built.
    """
    if against == REFERENCE:
        return _second_python
    found = [name for name, native in manifest.natives.items() if native.gateway and native.language == against]
    if not found:
        choices = {REFERENCE, *(native.language for native in manifest.natives.values() if native.gateway)}
        message = f"{manifest.name} has no gateway in {against!r}; choose one of: {', '.join(sorted(choices))}"
        raise CaseError(message)
    if not native_binary(manifest, found[0], home).is_file():
        message = f"{found[0]} is not built in {home}; `tricorn bind gateway={against}` builds it, or name its home with --home"
        raise CaseError(message)
    return partial(_native, found[0], home)


@asynccontextmanager
async def _native(name: str, builds: Path, behind: Behind, public: socket.socket) -> AsyncIterator[str]:
    """A native part as the supervisor starts it: bound for the methods that it has of other contracts, with the roles that it may have."""
    manifest = behind.manifest
    native, names = manifest.natives[name], RoleNames(manifest.name)
    server = ExternalServer(behind.database_url, state_dir=behind.home)
    environment = {
        **behind.environment,
        **{
            f"TRICORN_DATABASE_{each.upper()}": server.url(manifest.name, names.runtime(each))
            for each in native.databases
        },
        "TRICORN_MOUNTS": json.dumps(behind.mounts),
    }
    if native.reads:
        environment["TRICORN_DATABASE_PUBLISHED"] = server.url(manifest.name, names.viewer(name))
    bound = {"shares": {native.language: 10_000}, "generation": 1, "by": "operator", "auto": False}
    bindings = {
        "version": 1,
        "generation": 1,
        "bindings": dict.fromkeys((*native.contracts, *native.methods), bound),
    }
    path = behind.home / "bindings-of-candidate.json"
    path.write_text(json.dumps(bindings))
    command = [
        str(native_binary(manifest, name, builds)),
        "--metrics",
        "off",
        "--process",
        name,
        "--bindings",
        str(path),
    ]
    command += ["--manifest", str(manifest.root / FILE_NAME), "--public-fd", str(public.fileno())]
    async with started(
        name, command, state=behind.home, environment=environment, descriptors=[public.fileno()]
    ) as address:
        yield address


@asynccontextmanager
async def _second_python(behind: Behind, public: socket.socket) -> AsyncIterator[str]:
    async with python_gateway(behind, public) as address:
        yield address
