"""An application's contexts in the test's own process, on a database of the test's own."""

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from tricorn.clock import Clock
from tricorn.data import Database
from tricorn.data.clones import Clones
from tricorn.data.server import Server
from tricorn.host.host import Host
from tricorn.host.manifest import Manifest, load_manifest
from tricorn.host.process import Process
from tricorn.host.schema import migrations
from tricorn.host.settings import Settings
from tricorn.wire import Caller, Identity, call_scope

_C = TypeVar("_C")
_CONNECTIONS = 6
_clones: dict[tuple[str, Path, tuple[str, ...]], Clones] = {}


class TestApp:
    """Contexts that run here. Clients made by it call as the user they are made for."""

    __test__ = False

    def __init__(self, process: Process, admin: Database) -> None:
        self.process = process
        self.admin = admin

    def client(
        self, client: Callable[[Caller], _C], *, user: Identity | None = None, metadata: dict[str, str] | None = None
    ) -> _C:
        """A client of a contract; ``user`` is who calls."""
        return client(_As(self.process.wire, user, metadata or {}))

    def database(self, context: str) -> Database:
        """A context's database with the rights of its runtime role."""
        return self.process.databases[context]

    def host(self, context: str) -> Host:
        return self.process.hosts[context]

    async def deliver_events(self, seconds: float = 10.0) -> None:
        """Waits until everything that was published has been handled."""
        if self.process.events is not None:
            await self.process.events.drain(seconds)


class _As:
    """Calls as somebody."""

    def __init__(self, wire: Caller, user: Identity | None, metadata: dict[str, str]) -> None:
        self._wire = wire
        self._user = user
        self._metadata = metadata

    async def call(self, path: str, request: Any, deadline: float | None = None) -> Any:
        with call_scope(identity=self._user, metadata=self._metadata):
            return await self._wire.call(path, request, deadline)

    async def stream(self, path: str, request: Any) -> AsyncIterator[Any]:
        with call_scope(identity=self._user, metadata=self._metadata):
            answers = self._wire.stream(path, request)
        async for answer in answers:
            yield answer


def clones_for(server: Server, manifest: Manifest, contexts: Sequence[str]) -> Clones:
    """The migrated template of some contexts on a server, and its copies."""
    key = (server.admin_url(), manifest.root, tuple(sorted(contexts)))
    if key not in _clones:
        _clones[key] = Clones(server, migrations(manifest, sorted(contexts)), prefix=f"{manifest.name}_test")
    return _clones[key]


@asynccontextmanager
async def running(
    server: Server,
    application: Path,
    contexts: Sequence[str],
    *,
    fakes: Sequence[object] = (),
    clock: Clock | None = None,
    prepare: Callable[[Database], Any] | None = None,
    settings: Settings | None = None,
    listen: str | None = None,
    home: Path | None = None,
    name: str = "test",
) -> AsyncIterator[TestApp]:
    """Hosts contexts here, on a copy of their migrated database; gone when the block ends.

    Args:
        server: The fixture ``postgres``.
        application: Where ``tricorn.toml`` is.
        contexts: Those to host.
        fakes: Instances of generated bases that stand in for contexts which are not hosted.
        prepare: Awaited with an administrator's database before the contexts start; puts rows in.
        clock: Given to the contexts instead of the machine's.
        settings: Of the process; by default without a pool of processes.
        listen: Where the contexts are served by gRPC as well.
        home: The folder of the process's state; by default an empty one that goes with it.
        name: Of the process.
    """
    manifest = load_manifest(application)
    manifest.activate()
    clones = clones_for(server, manifest, contexts)
    with tempfile.TemporaryDirectory(prefix="tricorn-") as empty:
        async with clones.clone() as database, Database(server.admin_url(database), size=3) as admin:
            if prepare is not None:
                await prepare(admin)
            process = Process(
                manifest,
                name,
                contexts,
                lambda context: Database(clones.url(database, context), size=_CONNECTIONS, name=f"{name}-{context}"),
                home or Path(empty),
                settings=settings or Settings(cpu_workers=0),
                listen=listen,
                extra=fakes,
                clock=clock,
            )
            await process.start()
            try:
                yield TestApp(process, admin)
            finally:
                await process.stop()
