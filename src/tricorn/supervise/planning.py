"""What the supervisor runs for a shape of `tricorn.toml`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tricorn.data.server import server_for
from tricorn.host.manifest import FILE_NAME
from tricorn.host.natives import native_binary
from tricorn.host.references import GATEWAY, REFERENCE
from tricorn.host.targets import short_name
from tricorn.supervise.addresses import addresses_of, python_endpoints
from tricorn.supervise.child import ProcessPlan
from tricorn.supervise.databases import check_connections, database_of, part_environment
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.growth import PartPlan
from tricorn.supervise.supervisor import Plan

if TYPE_CHECKING:
    from tricorn.data.server import Server
    from tricorn.host.manifest import Manifest
    from tricorn.supervise.home import Home

_METRICS = "TRICORN_METRICS_ADDRESS"
_CLOCK, _CLOCKS = "TRICORN_CLOCK_OFFSET", "TRICORN_CLOCK_OFFSETS"
_GROW = "grow"
RUNTIMES = {"go": ("GODEBUG", "schedtrace=2147483647")}
"""What a language's runtime is told, unless the operator tells it something. Go's monitor thread sleeps once all goroutines
wait, and the first system call after that wakes it to look on every 20 us: in the short bursts of work that calls are, a
fifth of what a process takes of the machine. While the scheduler is traced it comes round by itself instead, every 10 ms
when there is little to do. The price: one line on standard error in 24 days, the most that can be asked for, and in a crash
one for each goroutine."""


def default_shape(manifest: Manifest) -> str:
    """`grow` where there is one, else the first."""
    return _GROW if _GROW in manifest.shapes else next(iter(manifest.shapes), _GROW)


def make_plan(manifest: Manifest, home: Home, *, shape: str, host: str, port: int, demo: bool) -> Plan:
    """Everything about a run in a home.

    Raises:
        SuperviseError: there is no such shape.
        DataError: there can be no folder for sockets.
    """
    if shape not in manifest.shapes:
        raise SuperviseError(f"there is no shape {shape!r}", remedy=f"choose one of: {', '.join(manifest.shapes)}")
    names = manifest.shapes[shape].processes
    addresses = addresses_of(home, names)
    check_connections(manifest, names)
    url = os.environ.get("DATABASE_URL", "")
    server = server_for(url or None, state_dir=home.path)
    database = database_of(manifest, url)
    parts = {
        name: _part(manifest, home, name, addresses[name], (server, database))
        for name in names
        if manifest.processes[name].native
    }
    fronted = any(part.process.gateway for part in parts.values())
    flags = [] if demo else ["--no-demo-data"]
    demo = demo and manifest.demo is not None and _development()
    return Plan(
        shape=shape,
        host=host,
        port=port,
        processes=tuple(
            parts[name].process if name in parts else _python(manifest, home, name, addresses[name], fronted=fronted)
            for name in names
        ),
        parts=parts,
        grows=manifest.shapes[shape].grows,
        endpoints=python_endpoints(manifest, addresses),
        shared=frozenset(contract for native in manifest.natives.values() for contract in native.shared),
        prepare=ProcessPlan("prepare", (*_tricorn(manifest), "prepare", "--home", str(home.path), *flags)),
        store=None if url else server,
        database=manifest.name,
        ready_paths=("/health/ready", *([manifest.demo.ready] if manifest.demo and demo else [])),
        note=manifest.demo.note if manifest.demo and demo else "",
        services=(
            *(
                {
                    "name": GATEWAY,
                    "contract": GATEWAY,
                    "implementation": REFERENCE,
                    "process": process,
                    "address": addresses[process],
                }
                for process in names
                if manifest.processes[process].gateway
            ),
            *(
                {
                    "name": short_name(contract),
                    "contract": contract,
                    "implementation": REFERENCE,
                    "process": process,
                    "address": addresses[process],
                }
                for process in names
                for context in manifest.processes[process].contexts
                for contract in manifest.contexts[context].contracts
            ),
        ),
    )


def _python(manifest: Manifest, home: Home, name: str, address: str, *, fronted: bool) -> ProcessPlan:
    gateway = manifest.processes[name].gateway
    command = (*_tricorn(manifest), "serve", name, "--home", str(home.path), "--listen", address)
    if gateway and fronted:
        command = (*command, "--mounts", f"{address.removesuffix('.sock')}.http")
    environment = {**({} if gateway else _own_metrics()), **_own_clock(name)}
    return ProcessPlan(name, command, gateway=gateway, address=address, environment=environment)


def _part(manifest: Manifest, home: Home, name: str, address: str, database: tuple[Server, str]) -> PartPlan:
    part = manifest.processes[name].native
    native = manifest.natives[part]
    about = ("--app", str(manifest.root), "--home", str(home.path), part)
    metrics = _own_metrics().get(_METRICS, "127.0.0.1:0")
    command = (
        str(native_binary(manifest, part, home.path)),
        *("--listen", address, "--home", str(home.path), "--metrics", metrics, "--process", name),
        *(("--manifest", str(manifest.root / FILE_NAME)) if native.gateway else ()),
    )
    log = home.logs / f"build-{part}.log"
    return PartPlan(
        part,
        native.language,
        process=ProcessPlan(
            name,
            command,
            gateway=native.gateway,
            address=address,
            environment={"DATABASE_URL": "", **_own_runtime(native.language), **_own_clock(name)},
        ),
        build=ProcessPlan(f"build-{part}", (*_module("building"), *about, "--log", str(log))),
        check=ProcessPlan(f"check-{part}", (*_module("checking"), *about)),
        permit=ProcessPlan(f"permit-{part}", (*_module("permitting"), *about)),
        contracts=(*([GATEWAY] if native.gateway else []), *native.contracts),
        word=lambda: {"environment": part_environment(manifest, part, *database)},
        methods=tuple(native.methods),
    )


def _own_metrics() -> dict[str, str]:
    """The address of metrics that the operator chose is the gateway's; the others take a free port beside it."""
    host = os.environ.get(_METRICS, "").rpartition(":")[0]
    return {_METRICS: f"{host}:0"} if host and not host.startswith("unix") else {}


def _own_runtime(language: str) -> dict[str, str]:
    variable, told = RUNTIMES.get(language, ("", ""))
    return {variable: told} if variable and variable not in os.environ else {}


def _own_clock(name: str) -> dict[str, str]:
    """How far the clock of one process is off, where a test says so."""
    said = dict(entry.strip().split("=", 1) for entry in os.environ.get(_CLOCKS, "").split(",") if "=" in entry)
    return {_CLOCK: said[name]} if name in said else {}


def _tricorn(manifest: Manifest) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "tricorn", "--app", str(manifest.root))


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", f"tricorn.supervise.{name}")


def _development() -> bool:
    return os.environ.get("TRICORN_ENVIRONMENT", "development") == "development"
