"""What a process of an application does from its start to its end: hosts its contexts, and the gateway where it is the one that has it."""

import asyncio
import contextlib
import cProfile
import gc
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tricorn import telemetry
from tricorn.contract import MethodPolicy, method_policy, service_policies
from tricorn.data import Database, check_budget
from tricorn.data.names import RoleNames
from tricorn.data.server import server_for
from tricorn.events.metrics import EventCollector
from tricorn.gateway import (
    AuthConfig,
    CorsConfig,
    Gateway,
    GatewayConfig,
    Limits,
    Mount,
    Observation,
    Observer,
    Rate,
    create_app,
)
from tricorn.gateway.checking import LimitsServer
from tricorn.host import Manifest, Process, Settings
from tricorn.host.manifest import Rate as DeclaredRate
from tricorn.prove.proving import Proving
from tricorn.supervise.port import PublicPort
from tricorn.supervise.preparation import database_name
from tricorn.telemetry.server import MetricsServer, registry
from tricorn.v1 import auth_pb2
from tricorn.wire import call_scope
from tricorn.wire.bindings import OVER_THE_CAP

_YOUNG_OBJECTS = 5000

_SERVER_ERROR = 500


async def serve(
    manifest: Manifest,
    name: str,
    home: Path,
    *,
    settings: Settings,
    public: PublicPort | None = None,
    listen: str | None = None,
    endpoints: Path | None = None,
    bindings: Path | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Runs a process of ``tricorn.toml`` until SIGTERM or SIGINT.

    Args:
        manifest: The application, activated.
        name: One of its processes.
        home: The folder of the application's state.
        settings: Of this process.
        public: The public port, for the process that has the gateway.
        listen: Where others reach it by gRPC.
        endpoints: The file that says where contracts are; by default the home's.
        bindings: The bindings file; by default the home's.
        on_ready: Called once requests are answered.
    """
    contexts = manifest.processes[name].contexts
    process = Process(
        manifest,
        name,
        contexts,
        database_factory(manifest, home, settings, contexts),
        home,
        settings=settings,
        listen=listen,
        endpoints=endpoints,
        bindings=bindings,
    )
    attach_proving(process)
    await _run(process, public, on_ready)


def attach_proving(process: Process) -> None:
    """Has a process count, shadow and record its calls, and those that are copied to it, whenever bindings and orders of its home say so."""

    def fallbacks() -> Mapping[tuple[str, str], int]:
        found: Counter[tuple[str, str]] = Counter()
        for (method, implementation, why), calls in process.asked.fallbacks().items():
            if why != OVER_THE_CAP:  # these were refused, and are errors of the implementation as they stand
                found[method, implementation] += calls
        return found

    proving = Proving(process.home, process.name, process.wire, process.endpoints, fallbacks, poll=process.follow)
    process.service.add(proving.server)
    process.backgrounds["proving"] = proving.run


async def _run(process: Process, public: PublicPort | None, on_ready: Callable[[], None]) -> None:
    settings = process.settings
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = make_gateway(process.manifest, process) if public is not None else None
    shown = registry(process.stats, asked=process.asked)
    shown.register(EventCollector(lambda: process.events.relays.values() if process.events else ()))
    metrics = MetricsServer(shown)
    await process.start()
    try:
        await metrics.start(settings.metrics_address, note=process.home / f"{process.name}.metrics")
        _leave_out_what_stays()
        with _profiled(settings, process.name):
            if gateway is None or public is None:
                on_ready()
                await stop.wait()
            else:
                await public.serve(gateway, stop, settings.shutdown_seconds, on_ready)
    finally:
        await process.stop()
        await metrics.stop()
        telemetry.shutdown_tracing()


def _leave_out_what_stays() -> None:
    """What was loaded stays: the collector of cycles would look through all of it time and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


@contextlib.contextmanager
def _profiled(settings: Settings, name: str) -> Iterator[None]:
    """From the moment that the process serves: its start would hide what its requests cost."""
    if not settings.profile_folder:
        yield
        return
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(Path(settings.profile_folder) / f"{name}.prof")


def database_factory(
    manifest: Manifest, home: Path, settings: Settings, contexts: Sequence[str]
) -> Callable[[str], Database]:
    """How a process gets the database of each of its contexts: an equal share of what it may hold."""
    server = server_for(settings.database_url or None, state_dir=home)
    database = database_name(manifest, settings)
    # Roles belong to the whole server: two databases of one application on it must not share them.
    names = RoleNames(database)
    with_database = [context for context in contexts if manifest.contexts[context].database]
    share = max(2, settings.database_connections // max(len(with_database), 1))
    check_budget(dict.fromkeys(with_database, share), limit=settings.database_connections, reserve=0)
    return lambda context: Database(
        server.url(database, names.runtime(context)), size=share, name=f"{manifest.name}-{context}"
    )


def make_gateway(manifest: Manifest, process: Process) -> Gateway:
    """The gateway of an application, in front of a process's wire."""
    settings = process.settings
    gateway = create_app(
        GatewayConfig(
            backend=process.wire,
            policies=public_policies(manifest),
            title=manifest.application.title,
            version=manifest.application.version,
            roles=manifest.roles,
            rates={name: _rate(rate, settings.rate_factor) for name, rate in manifest.rates.items()},
            auth=_auth(manifest, process),
            cors=CorsConfig(tuple(settings.cors_origins)),
            limits=Limits(body=settings.max_body_bytes),
            mounts=[Mount(prefix, app) for prefix, app in process.mounts.items()],
            trusted_proxies=settings.trusted_proxies,
            comments=contract_comments(manifest),
            ready=process.ready,
            generation=lambda: process.endpoints.bindings.generation,
            hsts=settings.hsts,
            wall=lambda: process.clock.now().timestamp(),
            observer=_observer(process),
        )
    )

    process.service.add(LimitsServer(gateway.limiter, gateway.config.rates))

    async def revoke(event: auth_pb2.SessionRevoked, _meta: object) -> None:
        gateway.revoke(event.session_id, event.expire_time.ToNanoseconds() / 1e9)

    process.broadcasts.append((auth_pb2.SessionRevoked, revoke))
    return gateway


def _observer(process: Process) -> Observer:
    """Counts requests by route beside the calls, so that the metrics show both."""

    def observe(seen: Observation) -> None:
        failed = seen.status >= _SERVER_ERROR
        process.stats.observe(f"http/{seen.route or 'none'}", "gateway", seen.seconds, error=failed)

    return observe


def public_policies(manifest: Manifest) -> list[MethodPolicy]:
    """The methods of every contract of the application; the gateway takes those that have routes."""
    return [
        policy
        for context in manifest.contexts.values()
        for contract in context.contracts
        for policy in service_policies(contract)
    ]


def _rate(said: DeclaredRate, factor: float) -> Rate:
    return Rate(max(1, int(said.limit * factor)), said.period_seconds, max(1, int(said.burst * factor)))


def _auth(manifest: Manifest, process: Process) -> AuthConfig | None:
    said = manifest.auth
    if said is None:
        return None
    keys, revocations = method_policy(said.keys), method_policy(said.revocations)

    async def ask_keys() -> auth_pb2.JsonWebKeySet:
        with call_scope(timeout=keys.deadline):
            return await process.wire.invoke(keys, auth_pb2.GetJsonWebKeySetRequest())  # type: ignore[return-value]

    async def ask_revocations() -> auth_pb2.ListRevocationsResponse:
        with call_scope(timeout=revocations.deadline):
            return await process.wire.invoke(revocations, auth_pb2.ListRevocationsRequest())  # type: ignore[return-value]

    return AuthConfig(said.issuer, said.audience, ask_keys, ask_revocations)


def contract_comments(manifest: Manifest) -> dict[str, str]:
    """The comments of the platform's contracts and the application's, by full name."""
    files = [Path(auth_pb2.__file__).parent / "comments.json", manifest.proto_source.output / "comments.json"]
    return {name: text for file in files if file.exists() for name, text in json.loads(file.read_text()).items()}
