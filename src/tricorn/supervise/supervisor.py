"""The supervisor: one process that starts an application's processes, keeps them running, and takes them down."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Protocol

from tricorn.supervise.child import Child, ProcessPlan
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import cannot_write
from tricorn.supervise.public import listen, url_of
from tricorn.telemetry import configure_logging, get_logger

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

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
class Limits:
    """Seconds, but for `restarts`: how often a process may end by itself within `restart_window`."""

    ready: float = 60.0
    prepare: float = 600.0
    stop: float = 12.0
    restarts: int = 5
    restart_window: float = 60.0
    backoff: float = 0.25
    longest_backoff: float = 10.0


@dataclass(frozen=True)
class Plan:
    """Everything about one run.

    Args:
        shape: the name of the shape, for `status`.
        processes: in order of need: a later one may call an earlier one.
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
    prepare: ProcessPlan | None = None
    store: Store | None = None
    database: str = ""
    ready_paths: tuple[str, ...] = ()
    services: tuple[Mapping[str, str], ...] = ()
    note: str = ""
    limits: Limits = Limits()


class Supervisor:
    """Runs a plan in a home until it is told to stop, by SIGINT or SIGTERM or `stop`."""

    def __init__(self, plan: Plan, home: Home, progress: Progress) -> None:
        self._plan = plan
        self._home = home
        self._progress = progress
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._children: dict[str, Child] = {}
        self._restarts: dict[str, int] = {}
        self._public: socket.socket | None = None
        self._phase = "starting"
        self._started = time.time()
        self._store_thread: asyncio.Future[None] | None = None
        self._word: dict[str, Any] = {}

    def stop(self) -> None:
        """Stop in order; asked a second time, at once."""
        if self._stop.is_set():
            self._hurry.set()
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
            self._public = listen(self._plan.host, self._plan.port)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.stop)
            self._write_state()
            await self._until_stopped(self._start_and_watch())
        except OSError as error:
            raise cannot_write(error, self._home.path) from error
        except SuperviseError as error:
            _log.error("giving up", error=error.what, remedy=error.remedy)
            raise
        finally:
            await self._shut_down()
            self._home.forget_state()
            self._home.unlock()

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
        plan = self._plan
        self._progress.stage("starting the database" if plan.store else "starting the processes")
        if plan.store is not None:
            self._store_thread = asyncio.ensure_future(asyncio.to_thread(plan.store.start))
        preparing = self._spawn(plan.prepare) if plan.prepare is not None else None
        for process in plan.processes:
            self._spawn(process)
        self._write_state()
        if self._store_thread is not None:
            await self._store_thread
            self._word = {"environment": {"DATABASE_URL": plan.store.admin_url(plan.database)}} if plan.store else {}
        if preparing is not None:
            await self._prepare(preparing)
        for process in plan.processes:
            self._progress.stage(f"starting {process.name}")
            await self._begin(self._children[process.name])
        for path in plan.ready_paths:
            await self._answers(path)
        self._phase = "ready"
        self._write_state()
        _log.info("ready", url=self.url, seconds=round(time.time() - self._started, 2))
        self._progress.ready(self.state())
        await asyncio.gather(*(self._keep_up(process) for process in plan.processes), self._keep_store_up())

    @property
    def url(self) -> str:
        return url_of(self._public) if self._public is not None else ""

    def state(self) -> dict[str, Any]:
        """What the state file says: see `tricorn status --json`, plus what only this program reads."""
        processes: list[dict[str, Any]] = [{"name": "supervisor", "pid": os.getpid(), "restarts": 0}]
        store_pid = getattr(self._plan.store, "pid", None)
        if store_pid is not None:
            processes.append({"name": "postgres", "pid": store_pid, "restarts": self._restarts.get("postgres", 0)})
        for name, child in self._children.items():
            processes.append({"name": name, "pid": child.pid, "restarts": self._restarts.get(name, 0)})
        return {
            "pid": os.getpid(),
            "url": self.url,
            "shape": self._plan.shape,
            "phase": self._phase,
            "started": self._started,
            "services": [dict(service) for service in self._plan.services],
            "processes": processes,
            "note": self._plan.note,
            "databaseUrl": self._word.get("environment", {}).get("DATABASE_URL"),
        }

    def _spawn(self, plan: ProcessPlan) -> Child:
        child = Child(plan, self._home.log(plan.name))
        child.start(self._public.fileno() if self._public is not None else None)
        self._children[plan.name] = child
        return child

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

    async def _prepare(self, child: Child) -> None:
        self._progress.stage("preparing the database")
        child.go(**self._word)
        try:
            async with asyncio.timeout(self._plan.limits.prepare):
                while lines := await child.lines():
                    for line in lines:
                        if "step" in line:
                            self._progress.step(line["step"], int(line.get("done", 0)), int(line.get("total", 0)))
                        if "failed" in line:
                            raise SuperviseError(line["failed"], remedy=line.get("remedy", ""))
                status = await child.wait()
        except TimeoutError as error:
            raise self._broken(child, f"was not done after {self._plan.limits.prepare:.0f} s") from error
        if status != 0:
            raise self._broken(child, _ended(status))
        child.sweep()
        del self._children[child.plan.name]

    async def _begin(self, child: Child) -> None:
        """Let a process begin, and wait until it says it is ready."""
        child.go(**self._word)
        try:
            async with asyncio.timeout(self._plan.limits.ready):
                while lines := await child.lines():
                    if any("ready" in line for line in lines):
                        return
                status = await child.wait()
        except TimeoutError as error:
            raise self._broken(child, f"did not get ready within {self._plan.limits.ready:.0f} s") from error
        raise self._broken(child, _ended(status) + " before it was ready")

    def _broken(self, child: Child, how: str) -> SuperviseError:
        if self._home.is_full:
            return cannot_write(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self._home.path)
        return SuperviseError(
            f"{child.plan.name} {how}",
            remedy=f"read why in {child.log}, or with `tricorn logs {child.plan.name}`",
            log=child.last_words(),
        )

    async def _answers(self, path: str) -> None:
        """Wait until a GET of `path` is answered with 200."""
        self._progress.stage(f"waiting for {path}")
        deadline = time.monotonic() + self._plan.limits.ready
        while True:
            status, body = await asyncio.to_thread(get, self.url, path)
            if status == _OK:
                return
            gone = next((child for child in self._children.values() if child.returncode is not None), None)
            if gone is not None:
                raise self._broken(gone, _ended(gone.returncode or 0))
            if time.monotonic() > deadline:
                raise SuperviseError(
                    f"GET {self.url}{path} still gives {status or 'no answer'}: {body[:300]}",
                    remedy=f"read why in {self._home.logs}",
                )
            await asyncio.sleep(0.05)

    async def _keep_up(self, plan: ProcessPlan) -> None:
        """Start a process again whenever it ends.

        Raises:
            SuperviseError: it ended too often.
        """
        limits = self._plan.limits
        ends: list[float] = []
        while True:
            child = self._children[plan.name]
            how = _ended(await child.wait())
            words = child.last_words()
            child.sweep()
            now = time.monotonic()
            ends = [end for end in ends if now - end < limits.restart_window] + [now]
            if len(ends) > limits.restarts:
                raise SuperviseError(
                    f"{plan.name} ended {len(ends)} times within {limits.restart_window:.0f} s; the last time it {how}",
                    remedy=f"read why in {child.log}",
                    log=words,
                )
            pause = min(limits.backoff * 2 ** (len(ends) - 1), limits.longest_backoff)
            _log.error("a process ended", name=plan.name, how=how, restart_in_seconds=pause)
            self._progress.note(f"{plan.name} {how}; it is started again")
            await asyncio.sleep(pause)
            self._restarts[plan.name] = self._restarts.get(plan.name, 0) + 1
            again = self._spawn(plan)
            self._write_state()
            try:
                await self._begin(again)
            except SuperviseError as error:
                _log.error("a process did not start again", name=plan.name, error=error.what)
                await again.stop(0, self._hurry)
                continue
            _log.info("a process is up again", name=plan.name)
            self._progress.note(f"{plan.name} is up again")

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
                self._restarts["postgres"] = self._restarts.get("postgres", 0) + 1
                self._write_state()

    async def _shut_down(self) -> None:
        if self._phase == "ready":
            self._progress.note("stopping")
        self._phase = "stopping"
        for child in reversed(self._children.values()):
            await child.stop(self._plan.limits.stop, self._hurry)
        if self._store_thread is not None:
            with contextlib.suppress(Exception):
                await self._store_thread
            if self._plan.store is not None:
                await asyncio.to_thread(self._plan.store.stop)
        if self._public is not None:
            self._public.close()
        _log.info("stopped")


def _ended(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def get(url: str, path: str) -> tuple[int, str]:
    """Status and body of a GET; status 0 when nothing answers."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read(65536).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()
