"""One process of an application: the contexts it hosts, their databases, their events, and the wire between them."""

import asyncio
import contextlib
import os
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.clock import Clock, SystemClock
from tricorn.contract import Refusal, method_policy
from tricorn.data import Database
from tricorn.events import Events, Subscription
from tricorn.events.discovery import remote_routes
from tricorn.events.moved import Natives
from tricorn.events.poke import Poke
from tricorn.events.sink import EventSinkServer, LocalSink
from tricorn.host.cpu import CpuPool
from tricorn.host.host import Host
from tricorn.host.manifest import Manifest, resolve
from tricorn.host.report import WireReport
from tricorn.host.settings import Settings
from tricorn.v1 import stats_pb2
from tricorn.v1.stats_tricorn import StatsServiceBase
from tricorn.wire import BindingsFile, Call, Endpoints, GrpcServer, Service, Wire, call_scope
from tricorn.wire.bindings import BINDINGS_FILE
from tricorn.wire.endpoints import ENDPOINTS_FILE, STATS, EndpointsFile

_log = telemetry.get_logger("tricorn.host")
_STATS = f"{STATS}/GetProcessStats"
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_OTHERS_SECONDS = 60.0
_POLL_SECONDS = 0.2


class Process:
    """Made, started, stopped; once.

    Args:
        manifest: The application, activated.
        name: The process's name in logs and statistics.
        contexts: Those it hosts.
        database_for: The database of a context with the rights of its runtime role, not yet open.
        home: The folder of the application's state.
        listen: Where other processes reach it by gRPC (``unix:PATH`` or ``HOST:PORT``); None: nowhere.
        endpoints: Where contracts are: a file, by default ``endpoints.json`` of the home, or addresses beside it that stay.
        bindings: The bindings file, by default ``bindings.json`` of the home. Both files are looked at again all the time.
        extra: Servers besides those of the contexts; a test's stand-ins.
    """

    def __init__(
        self,
        manifest: Manifest,
        name: str,
        contexts: Sequence[str],
        database_for: Callable[[str], Database],
        home: Path,
        *,
        settings: Settings | None = None,
        listen: str | None = None,
        endpoints: Path | Mapping[str, Sequence[str] | Mapping[str, Sequence[str]]] | None = None,
        bindings: Path | None = None,
        extra: Sequence[object] = (),
        clock: Clock | None = None,
    ) -> None:
        self.manifest = manifest
        self.name = name
        self.home = home
        self.settings = settings or Settings()
        self.clock = clock or SystemClock(self.settings.clock_offset)
        self.stats = telemetry.CallStats()
        self.asked = telemetry.CallStats()
        self.service = Service(self.stats)
        there = endpoints if isinstance(endpoints, Path) else home / ENDPOINTS_FILE
        self._endpoints_file = EndpointsFile(there)
        self.endpoints = Endpoints(self.service, None if isinstance(endpoints, Path) else endpoints, stats=self.asked)
        self.wire = Wire(self.endpoints, stats=self.asked, most_fallbacks=self.settings.fallback_calls)
        self.bindings = BindingsFile(bindings or home / BINDINGS_FILE)
        self.cpu = CpuPool(self.settings.cpu_workers)
        self.databases = {context: database_for(context) for context in contexts if manifest.contexts[context].database}
        self.pokes = {context: Poke(context, database) for context, database in self.databases.items()}
        self.subscriptions: dict[str, Subscription[Any]] = {}
        self.broadcasts: list[tuple[type[Message], Callable[..., Awaitable[None]]]] = []
        self.gaps: list[Callable[[], Awaitable[None]]] = []
        self.backgrounds: dict[str, Callable[[asyncio.Event], Awaitable[None]]] = {}
        self.starts: list[Callable[[], Awaitable[None]]] = []
        self.stops: list[Callable[[], Awaitable[None]]] = []
        self.mounts: dict[str, Any] = {}
        self.hosts: dict[str, Host] = {}
        self.events: Events | None = None
        self._started_at = time.time()
        self._report = WireReport(home, name)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._listen = listen
        self._server = GrpcServer(self.service, listen) if listen else None
        for server in (StatsServer(self), *extra):
            self.service.add(server)
        for context in contexts:
            self.hosts[context] = Host(self, context)
            resolve(f"{manifest.contexts[context].package}.server:register")(self.hosts[context])

    async def start(self) -> None:
        """Opens the databases, runs what the contexts asked for, then answers. What was begun is undone when a step fails."""
        self.follow()
        try:
            await asyncio.gather(*(database.open() for database in self.databases.values()))
            for poke in self.pokes.values():
                await poke.start()
            for function in self.starts:
                await function()
            natives = Natives(self.endpoints, self.asked)
            sink = LocalSink(self.subscriptions.values(), natives.deliver)
            self.service.add(EventSinkServer(sink))
            if self._server is not None:
                await self._server.start()
                _log.info("listening", address=self._server.address)
            others = [self.endpoints.at(address) for address in self._others()]
            self.events = Events(
                self.databases,
                self.pokes,
                sink,
                self.broadcasts,
                remote=await remote_routes(others, _OTHERS_SECONDS),
                on_gap=self.gaps,
                name=self.name,
            )
            await self.events.start()
            for name, run in self.backgrounds.items():
                self._tasks.append(asyncio.create_task(self._keep_running(name, run), name=name))
            self._tasks.append(asyncio.create_task(self._keep_running("bindings", self._keep_following)))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Refuses what is new, lets what is in flight end within the settings' limit, and closes everything. Doing it again does nothing."""
        self._stopping.set()
        if self._server is not None:
            await self._server.stop(self.settings.shutdown_seconds)
        await self._end_tasks()
        stops, self.stops = self.stops, []
        for function in reversed(stops):
            await self._end(getattr(function, "__qualname__", repr(function)), function())
        if self.events is not None:
            await self._end("events", self.events.stop())
            self.events = None
        for poke in self.pokes.values():
            await poke.stop()
        await self.endpoints.close()
        self._report.remove()
        self.cpu.close()
        for database in self.databases.values():
            await database.close()

    async def ready(self) -> Mapping[str, bool]:
        """Whether each hosted context reaches its database now."""

        async def reaches(database: Database) -> bool:
            try:
                return bool(await database.fetchval("SELECT true"))
            except Exception as error:  # noqa: BLE001 - whatever it is, the context is of no use
                _log.warning("a database is out of reach", exc_info=error)
                return False

        return dict(zip(self.databases, await asyncio.gather(*map(reaches, self.databases.values())), strict=True))

    def process_stats(self) -> stats_pb2.ProcessStats:
        """This process's own counters."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        stats = stats_pb2.ProcessStats(process=self.name, pid=os.getpid(), cpu_seconds=usage.ru_utime + usage.ru_stime)
        stats.start_time.FromNanoseconds(int(self._started_at * 1e9))
        called = {
            (figures.service, figures.implementation): figures
            for figures in (*self.stats.snapshot(), *self.asked.snapshot())
        }
        fallbacks = self._fallbacks()
        hosted = {(service, self.service.implementation) for service in self.service.services}
        asked = {(figures.service, figures.implementation) for figures in self.asked.snapshot()}
        for service, implementation in sorted(hosted | asked | set(fallbacks)):
            figures = called.get((service, implementation))
            stats.services.add(
                service=service,
                implementation=implementation,
                calls=figures.calls if figures else 0,
                errors=figures.errors if figures else 0,
                mean_milliseconds=figures.mean_milliseconds if figures else 0,
                p99_milliseconds=figures.p99_milliseconds if figures else 0,
                fallbacks=fallbacks.get((service, implementation), 0),
            )
        return stats

    def _fallbacks(self) -> Counter[tuple[str, str]]:
        """Calls that the reference answered instead, by contract and implementation."""
        found: Counter[tuple[str, str]] = Counter()
        for (method, implementation, _), calls in self.asked.fallbacks().items():
            found[method.partition("/")[0], implementation] += calls
        return found

    async def gather_stats(self) -> list[stats_pb2.ProcessStats]:
        """The counters of this process, of every other in Python, and of native gateways, as far as they answer in time.

        Calls of other native processes are counted by who asks.
        """
        policy = method_policy(_STATS)

        async def ask(address: str) -> stats_pb2.ProcessStats | None:
            with call_scope(timeout=policy.deadline) as call:
                try:
                    answer = await self.endpoints.at(address).unary(policy, stats_pb2.GetProcessStatsRequest(), call)
                except Refusal as refusal:
                    _log.warning("a process gave no statistics", address=address, reason=refusal.reason)
                    return None
            return answer  # type: ignore[return-value]

        addresses = [*self._others(), *self.endpoints.natives(STATS)]
        others = await asyncio.gather(*map(ask, addresses))
        return [self.process_stats(), *(stats for stats in others if stats is not None)]

    def _others(self) -> list[str]:
        """Where the application's other Python processes are; the endpoints file names this one too."""
        return [address for address in self.endpoints.addresses if address != self._listen]

    def follow(self) -> None:
        """Takes what the bindings and endpoints files say now, and says what became of it."""
        moved = self._endpoints_file.poll()
        if self.bindings.poll() or moved:
            self.endpoints.update(endpoints=self._endpoints_file.current, bindings=self.bindings.current)
            _log.info("bindings hold", generation=self.bindings.current.generation, placeless=self.endpoints.placeless)
        problems = [problem for problem in (self.bindings.problem, self._endpoints_file.problem) if problem]
        problems += [f"{each}, which has no address: Python answers" for each in self.endpoints.placeless]
        self._report.write(
            generation=self.bindings.current.generation,
            problems=problems,
            open_breakers=self.wire.open_breakers,
            fallbacks=self.asked.fallbacks(),
        )

    async def _keep_following(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.follow()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_SECONDS)

    async def _end(self, what: str, ending: Awaitable[None]) -> None:
        try:
            await asyncio.wait_for(ending, self.settings.shutdown_seconds)
        except TimeoutError:
            _log.warning("did not end in time", what=what, seconds=self.settings.shutdown_seconds)

    async def _keep_running(self, name: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await run(self._stopping)
            except Exception as error:  # noqa: BLE001 - it is logged and tried again
                _log.warning("background work failed and starts again", work=name, exc_info=error)
                pause = _FIRST_PAUSE if time.monotonic() - began > _LONGEST_PAUSE else min(pause * 2, _LONGEST_PAUSE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _end_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=self.settings.shutdown_seconds)
        for task in late:
            _log.warning("did not end in time", what=task.get_name(), seconds=self.settings.shutdown_seconds)
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)


class StatsServer(StatsServiceBase):
    """Every process answers for itself."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def get_process_stats(
        self,
        request: stats_pb2.GetProcessStatsRequest,
        call: Call,
    ) -> stats_pb2.ProcessStats:
        return self._process.process_stats()
