"""The supervisor: one process that starts an application's processes, keeps them running, and takes them down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tricorn.host.references import REFERENCE
from tricorn.prove.ledger import Ledger
from tricorn.prove.tally import read_tallies
from tricorn.supervise.addresses import forget
from tricorn.supervise.child import Child, ProcessPlan
from tricorn.supervise.control import Control
from tricorn.supervise.edge import EdgePart
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.growth import Part, PartPlan, grow
from tricorn.supervise.guard import Guard
from tricorn.supervise.handover import EdgeKeeper, FrontKeeper
from tricorn.supervise.home import cannot_write
from tricorn.supervise.keeper import Keeper, Surroundings, ended
from tricorn.supervise.limits import Limits
from tricorn.supervise.moving import Around
from tricorn.supervise.noted import NotedWriter
from tricorn.supervise.operators import Operators
from tricorn.supervise.places import Places
from tricorn.supervise.proving import Proving
from tricorn.supervise.public import get, listen, url_of
from tricorn.supervise.tools import run_tool
from tricorn.supervise.tracing import SpanKeeper
from tricorn.telemetry import configure_logging, get_logger

if TYPE_CHECKING:
    import socket

    from tricorn.supervise.home import Home
    from tricorn.supervise.progress import Progress

_log = get_logger("tricorn.supervise")

_OK = 200


class Store(Protocol):
    """The database server that the supervisor runs, if it runs one. `start` and `stop` block."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def admin_url(self, database: str | None = None) -> str: ...


@dataclass(frozen=True)
class Plan:
    """Everything about one run.

    Args:
        shape: the name of the shape, for `status`.
        processes: in order of need: a later one may call an earlier one.
        parts: the native ones among them, by the name of their process.
        grows: Python answers first, and the native parts join it; else nothing is ready before all of them are bound.
        endpoints: where Python answers each contract.
        shared: contracts whose rows, idempotency keys included, all implementations keep in the same tables.
        prepare: runs to its end before the processes begin, while they load: migrations, demonstration data.
        store: the database server to run; none when it is somebody else's, whom DATABASE_URL names.
        database: the application's database on `store`; processes find it in DATABASE_URL.
        ready_paths: GET paths that must answer 200 before the start counts as done.
        services: what `status` lists.
        note: what is said to the operator once it is ready.
    """

    shape: str
    host: str
    port: int
    processes: tuple[ProcessPlan, ...]
    parts: Mapping[str, PartPlan] = field(default_factory=dict)
    grows: bool = False
    endpoints: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    prepare: ProcessPlan | None = None
    store: Store | None = None
    database: str = ""
    ready_paths: tuple[str, ...] = ()
    services: tuple[Mapping[str, str], ...] = ()
    note: str = ""
    limits: Limits = field(default_factory=Limits)


class Supervisor:
    """Runs a plan in a home until it is told to stop, by SIGINT or SIGTERM or `stop`."""

    def __init__(self, plan: Plan, home: Home, progress: Progress) -> None:
        self._plan = plan
        self._home = home
        self._progress = progress
        self._stop = asyncio.Event()
        self._control = Control(home)
        self._guard: Guard | None = None
        self._around = Surroundings(home, plan.limits, progress, self._write_state)
        self._spans = SpanKeeper(home.path)
        self._parts: dict[str, Part] = {}
        self._keepers: dict[str, Keeper] = {}
        self._edge: EdgePart | None = None
        self._preparing: Child | None = None
        self._store_restarts = 0
        self._public: socket.socket | None = None
        self._phase = "starting"
        self._started = time.time()
        self._begun = time.monotonic()
        self._store_thread: asyncio.Future[None] | None = None
        self._looking: set[asyncio.Task[list[str]]] = set()

    def stop(self) -> None:
        """Stop in order; asked a second time, at once."""
        if self._stop.is_set():
            self._around.hurry.set()
        self._stop.set()

    async def run(self) -> None:
        """Start everything, wait for the word to stop, stop everything.

        Raises:
            SuperviseError: it did not start, or a process would not stay up. Nothing is left running then either.
        """
        self._home.make()
        self._home.lock()
        try:
            self._open_journal()
            self._around.environment = await self._spans.start()
            self._public = self._around.public = listen(self._plan.host, self._plan.port)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.stop)
            ledger = Ledger(self._home.path)
            writer = NotedWriter(self._home, self._plan.shared, ledger)
            tallies = partial(read_tallies, self._home.path)
            self._guard = Guard(Around(writer, ledger, tallies, self.trouble, self.renew, self.permit))
            self._guard.recover()
            self._guard.register(self._control)
            Operators(self._home, writer, self._given_back, lambda: self._edge).listen(self._control)
            Proving(self._home, writer, lambda: self._edge).listen(self._control)
            self._make_keepers(Places(self._home, self._plan.endpoints, writer))
            self._write_state()
            await self._control.start()
            await self._until_stopped(self._start_and_watch())
        except OSError as error:
            raise cannot_write(error, self._home.path) from error
        except SuperviseError as error:
            _log.error("giving up", error=error.what, remedy=error.remedy)
            raise
        finally:
            await self._shut_down()
            await self._spans.stop()
            self._home.forget_state()
            self._home.unlock()

    def trouble(self, contract: str, language: str) -> tuple[str, int]:
        """Why the native part of a contract cannot be relied on now, empty when it can; and how often it was started again."""
        part = self._part(contract, language)
        if part is None:
            return f"shape {self._plan.shape} has no part in {language} for it", 0
        why = "" if part.keeper.ready.is_set() else f"{part.plan.name} is not up: {part.stage}"
        return why, part.keeper.restarts

    async def renew(self, contract: str, language: str) -> None:
        """Have the native part of a contract run, and looked at, as it was built last; one that does already is left alone."""
        part = self._part(contract, language)
        if part is not None and part.is_outdated:
            # Whoever asked may go away: what was begun is looked at to its end.
            await asyncio.shield(self._look(part, part.check()))

    async def permit(self, target: str, language: str, rehearsed: bool) -> Mapping[str, str]:
        """The evidence, and when the way back was rehearsed where it must have been, that a move to a language rests on now.

        Raises:
            SuperviseError: there is none that carries it.
        """
        part = self._part(target.partition("/")[0], language)
        said: dict[str, str] = {}
        if part is not None:  # else there is nothing to move to, as `trouble` says
            asked = (*part.plan.permit.command, target, language, *(["--rehearsed"] if rehearsed else []))
            child = self._around.spawn(replace(part.plan.permit, command=asked))
            await run_tool(self._around, child, {}, self._plan.limits.check, said.update)
        return said

    def _part(self, contract: str, language: str) -> Part | None:
        """The native part that answers a contract in a language."""
        parts = self._parts.values()
        return next(
            (each for each in parts if contract in each.plan.contracts and each.plan.language == language), None
        )

    def _given_back(self, contract: str) -> None:
        """An operator leaves a contract to the platform again: what it knows of the native part is looked at anew; one that was not
        built is tried again.
        """
        for part in self._parts.values():
            if contract in part.plan.contracts:
                self._look(part, part.come_or_look_again())

    def _look(self, part: Part, look: Coroutine[Any, Any, list[str]]) -> asyncio.Task[list[str]]:
        task = asyncio.create_task(look, name=f"check {part.plan.name}")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        return task

    def _make_keepers(self, places: Places) -> None:
        places.open()
        edges = [part for part in self._plan.parts.values() if part.process.gateway]
        front = next(
            (plan for plan in self._plan.processes if edges and plan.gateway and plan.name not in self._plan.parts),
            None,
        )
        fronts = {front.name: FrontKeeper(front, self._around)} if front is not None else {}
        for plan in self._plan.processes:
            planned = self._plan.parts.get(plan.name)
            if planned is None:
                self._keepers[plan.name] = fronts.get(plan.name) or Keeper(plan, self._around)
                continue
            about = (planned, self._around, places, self._begun, self._progress.note)
            if planned in edges and front is not None:
                self._edge = EdgePart(*about, front=fronts[front.name])
            part = self._edge if self._edge is not None and planned in edges else Part(*about)
            self._parts[plan.name] = part
            self._keepers[plan.name] = part.keeper

    async def _until_stopped(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _start_and_watch(self) -> None:
        await self._start_store_and_prepare()
        if not self._plan.grows:
            for part in self._parts.values():
                self._progress.stage(f"building {part.plan.name}")
                await part.build()
        await self._begin_all()
        for path in self._plan.ready_paths:
            await self._answers(path)
        await _together(
            self._settle(),
            self._keep_store_up(),
            *(keeper.keep_up() for keeper in self._python),
            *(part.keep_up() for part in self._parts.values()),
        )

    async def _begin_all(self) -> None:
        """In order of need; but those in Python together, since each asks all others which events they want."""
        waiting: list[asyncio.Future[None]] = []
        try:
            for name, keeper in self._keepers.items():
                if name not in self._parts:
                    self._progress.stage(f"starting {name}")
                    waiting.append(asyncio.ensure_future(keeper.begin()))
                elif not self._plan.grows:
                    self._progress.stage(f"starting {name}")
                    await self._parts[name].start()
            await asyncio.gather(*waiting)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    @property
    def _python(self) -> list[Keeper]:
        return [keeper for name, keeper in self._keepers.items() if name not in self._parts]

    async def _start_store_and_prepare(self) -> None:
        """The processes in Python load while the database starts and is prepared."""
        plan, store = self._plan, self._plan.store
        self._progress.stage("starting the database" if store else "starting the processes")
        if store is not None:
            self._store_thread = asyncio.ensure_future(asyncio.to_thread(store.start))
        self._preparing = self._around.spawn(plan.prepare) if plan.prepare is not None else None
        for keeper in self._python:
            keeper.spawn()
        self._write_state()
        if store is not None and self._store_thread is not None:
            await self._store_thread
            self._around.word = {"environment": {"DATABASE_URL": store.admin_url(plan.database)}}
        if self._preparing is not None:
            self._progress.stage("preparing the database")
            await run_tool(self._around, self._preparing, self._around.word, plan.limits.prepare, self._step)

    async def _settle(self) -> None:
        """Say that it is ready, and bring in the native parts: before that, or while it serves."""
        if self._plan.grows:
            self._say_ready()
            stay = await self._grow()
        else:
            stay = []
            for part in self._parts.values():
                self._progress.stage(f"checking {part.plan.name}")
                stay += await part.check()
            if stay:
                raise SuperviseError(
                    f"shape {self._plan.shape} is not complete: {stay[0]}",
                    remedy="mend that, or choose a shape that grows, which leaves such a part in Python",
                )
            self._say_ready()
        self._progress.settled(stay)

    async def _grow(self) -> list[str]:
        try:
            return await grow(self._parts.values())
        except Exception as error:  # noqa: BLE001 - whatever it is, the application answers without it
            _log.error("the native parts could not be brought in", exc_info=error)
            self._progress.note("the native parts could not be brought in; read why with `tricorn logs supervisor`")
            return [str(error)]

    def _say_ready(self) -> None:
        self._phase = "ready"
        self._write_state()
        _log.info("ready", url=self.url, seconds=round(time.time() - self._started, 2))
        self._progress.ready(self.state())

    @property
    def url(self) -> str:
        return url_of(self._public) if self._public is not None else ""

    def state(self) -> dict[str, Any]:
        """What the state file says: see `tricorn status --json`, plus what only this program reads."""
        processes: list[dict[str, Any]] = [{"name": "supervisor", "pid": os.getpid(), "restarts": 0, "address": ""}]
        store_pid = getattr(self._plan.store, "pid", None)
        if store_pid is not None:
            processes.append({"name": "postgres", "pid": store_pid, "restarts": self._store_restarts, "address": ""})
        for name, keeper in self._keepers.items():
            if keeper.child is not None:
                said = {"name": name, "pid": keeper.pid, "restarts": keeper.restarts, "address": keeper.plan.address}
                processes.append(said)
        return {
            "pid": os.getpid(),
            "url": self.url,
            "shape": self._plan.shape,
            "phase": self._phase,
            "started": self._started,
            "services": [dict(service) for service in self._plan.services],
            "parts": [part.describe() for part in self._parts.values()],
            "processes": processes,
            "gateway": self._gateway(),
            "note": self._plan.note,
            "databaseUrl": self._around.word.get("environment", {}).get("DATABASE_URL"),
        }

    def _gateway(self) -> dict[str, str] | None:
        """Who has the public port; None where no process is to have it."""
        if self._edge is not None and self._edge.has_port:
            return {"language": self._edge.language, "process": self._edge.plan.process.name}
        front = next((plan for plan in self._plan.processes if plan.gateway and plan.name not in self._parts), None)
        return {"language": REFERENCE, "process": front.name} if front is not None else None

    def _open_journal(self) -> None:
        journal = os.open(self._home.log("supervisor"), os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        configure_logging("supervisor", file=journal)
        _log.info("starting", shape=self._plan.shape)

    def _write_state(self) -> None:
        try:
            self._home.write_state(self.state())
        except OSError as error:
            if self._phase == "starting":
                raise
            _log.error("the state file could not be written", error=str(error))

    def _step(self, line: Mapping[str, Any]) -> None:
        if "step" in line:
            self._progress.step(line["step"], int(line.get("done", 0)), int(line.get("total", 0)))

    async def _answers(self, path: str) -> None:
        """Wait until a GET of `path` is answered with 200."""
        self._progress.stage(f"waiting for {path}")
        deadline = time.monotonic() + self._plan.limits.ready
        while True:
            status, body = await asyncio.to_thread(get, self.url, path)
            if status == _OK:
                return
            for keeper in self._keepers.values():
                if keeper.child is not None and keeper.child.returncode is not None:
                    raise self._around.broken(keeper.child, ended(keeper.child.returncode))
            if time.monotonic() > deadline:
                raise SuperviseError(
                    f"GET {self.url}{path} still gives {status or 'no answer'}: {body[:300]}",
                    remedy=f"read why in {self._home.logs}",
                )
            await asyncio.sleep(0.05)

    async def _keep_store_up(self) -> None:
        store = self._plan.store
        while store is not None and hasattr(store, "running"):
            await asyncio.sleep(0.5)
            if not self._home.is_there:
                raise SuperviseError(
                    f"the home is gone: {self._home.path} was removed while it was in use",
                    remedy="restore it, or start again for an empty one",
                )
            if not store.running:
                _log.error("the database server ended; it is started again")
                self._progress.note("the database server ended; it is started again")
                await asyncio.to_thread(store.stop)
                await asyncio.to_thread(store.start)
                self._store_restarts += 1
                self._write_state()

    async def _shut_down(self) -> None:
        if self._phase == "ready":
            self._progress.note("stopping")
        self._phase = "stopping"
        if self._guard is not None:
            await self._guard.close()
        await self._control.stop()
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        if self._preparing is not None:
            await self._preparing.stop(self._plan.limits.stop, self._around.hurry)
        keepers = list(self._keepers.values())
        if self._plan.grows:  # those that joined last are needed by those that were there before
            keepers.sort(key=lambda keeper: keeper.plan.name not in self._parts)
        keepers.sort(key=lambda keeper: isinstance(keeper, EdgeKeeper))  # nothing comes in any more
        for keeper in reversed(keepers):
            await keeper.stop(self._plan.limits.stop)
        if self._store_thread is not None:
            with contextlib.suppress(Exception):
                await self._store_thread
            if self._plan.store is not None:
                await asyncio.to_thread(self._plan.store.stop)
        if self._public is not None:
            self._public.close()
        forget(keeper.plan.address for keeper in keepers)
        _log.info("stopped")


async def _together(*works: Awaitable[None]) -> None:
    """Wait for all of them; when one fails or this is cancelled, none goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            if not task.cancelling():  # a second time would cut short how it ends
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
