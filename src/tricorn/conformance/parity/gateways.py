"""Two gateways in front of one state: the reference in Python, and another."""

import asyncio
import json
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tricorn
from tricorn.conformance.parity.exchange import Line
from tricorn.conformance.started import StartError, started
from tricorn.data import EmbeddedPostgres
from tricorn.host import Manifest

_BELIEVED = {"TRICORN_TRUSTED_PROXIES": '["127.0.0.1"]', "TRICORN_CPU_WORKERS": "0", "TRICORN_LOG_LEVEL": "error"}
_RATE_FACTOR = "5"
_BACKLOG = 128


@dataclass(frozen=True)
class Behind:
    """What stands behind the reference, for a candidate to stand before it too.

    Args:
        manifest: the application.
        home: the folder of its state, which holds its endpoints and bindings.
        database_url: its database, as its administrator.
        environment: variables that all its processes get.
        mounts: what the reference says of its mounts: the address of each by path prefix.
    """

    manifest: Manifest
    home: Path
    database_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)


Candidate = Callable[[Behind, socket.socket], object]
"""Starts a gateway on a listening socket: an async context manager."""


@asynccontextmanager
async def reference_and(candidate: Candidate, manifest: Manifest) -> AsyncIterator[tuple[Line, Line]]:
    """The way to the application's Python gateway, and to another one over the same processes and rows, both new and with
    demonstration data.

    Raises:
        StartError: One of them did not start, or the database could not be prepared.
    """
    with tempfile.TemporaryDirectory(prefix="tcp", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        server = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
        await asyncio.to_thread(server.start)
        try:
            url = server.admin_url(manifest.name)
            environment = {**_BELIEVED, "TRICORN_RATE_FACTOR": _RATE_FACTOR, "DATABASE_URL": url}
            behind = Behind(manifest, home, url, environment)
            await _prepare(behind)
            async with AsyncExitStack() as stack:
                first, second = stack.enter_context(_listener()), stack.enter_context(_listener())
                address = await stack.enter_async_context(python_gateway(behind, first))
                _write_endpoints(behind, address)
                await stack.enter_async_context(candidate(behind, second))  # type: ignore[arg-type]
                yield _line(first), _line(second)
        finally:
            await asyncio.to_thread(server.stop)


@asynccontextmanager
async def python_gateway(behind: Behind, public: socket.socket) -> AsyncIterator[str]:
    """The process that has the Python gateway; where others reach it by gRPC."""
    process = next(name for name, each in behind.manifest.processes.items() if each.gateway and each.contexts)
    command = [*tricorn_command(behind.manifest), "serve", process, "--public-fd", str(public.fileno())]
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tcm") as folder:
        async with started(
            process,
            [*command, "--mounts", f"unix:{folder}/m"],
            state=behind.home,
            environment=_sources(behind.environment),
            descriptors=[public.fileno()],
            said=said,
        ) as address:
            behind.mounts.update(said.get("mounts", {}))
            yield address


def tricorn_command(manifest: Manifest) -> list[str]:
    return [sys.executable, "-P", "-m", "tricorn", "--app", str(manifest.root)]


def _sources(environment: Mapping[str, str]) -> dict[str, str]:
    paths = [str(Path(tricorn.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), **environment}


def _listener() -> socket.socket:
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(_BACKLOG)
    return listener


def _line(listener: socket.socket) -> Line:
    host, port = listener.getsockname()
    return Line(host, port)


async def _prepare(behind: Behind) -> None:
    command: Sequence[str] = [*tricorn_command(behind.manifest), "prepare", "--home", str(behind.home)]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **_sources(behind.environment)},
    )
    said, _ = await process.communicate()
    if process.returncode:
        message = f"the database could not be prepared:\n{said.decode(errors='replace')[-2000:]}"
        raise StartError(message)


def _write_endpoints(behind: Behind, address: str) -> None:
    contracts = {contract: {"python": [address]} for contract in behind.manifest.contracts}
    (behind.home / "endpoints.json").write_text(json.dumps({"version": 1, "endpoints": contracts}))
