"""Implementations to play cases against: in this process, behind a socket, started for them, or at an address.

A target answers for one case at a time.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from google.protobuf.message import Message

from tricorn.conformance.cases import Case
from tricorn.conformance.started import started_native, started_python
from tricorn.conformance.state import empty_tables, load_state, write_files
from tricorn.contract import MethodPolicy
from tricorn.data import Clones, Database, EmbeddedPostgres
from tricorn.data.server import Server
from tricorn.host import Manifest
from tricorn.host.schema import migrations
from tricorn.host.testing import running
from tricorn.wire import Call, current_call
from tricorn.wire.remote import RemoteChannel

_T = TypeVar("_T")


class Calls(Protocol):
    """The calls that a case makes; `tricorn.wire.Wire` offers them, and more."""

    async def invoke(self, policy: MethodPolicy, request: Message) -> Message: ...

    def open_stream(self, policy: MethodPolicy, request: Message) -> AsyncIterator[Message]: ...


class Target(Protocol):
    """An implementation under test."""

    name: str

    def answers(self, case: Case) -> Any:
        """An async context manager: how calls reach the implementation, its state being the case's."""
        ...


class _Shared:
    """Within ``async with``, what is started once answers many cases: those that only read, and that give no state."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._started: dict[object, Any] = {}
        self._shares = False

    async def __aenter__(self) -> Self:
        self._shares = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shares = False
        self._started.clear()
        await self._stack.aclose()

    async def _share(self, key: object, start: Callable[[], AbstractAsyncContextManager[_T]]) -> _T:
        if key not in self._started:
            self._started[key] = await self._stack.enter_async_context(start())
        return self._started[key]  # type: ignore[no-any-return]


class InProcess(_Shared):
    """The Python implementation in this process, on a cloned database with the case's rows."""

    name = "python"

    def __init__(self, server: Server, application: Path) -> None:
        super().__init__()
        self._server = server
        self._application = application

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        if self._shares and case.reads:
            yield await self._share(case.contexts, lambda: _hosted(self._server, self._application, case))
            return
        async with _hosted(self._server, self._application, case) as wire:
            yield wire


class OverSocket:
    """The Python implementation behind gRPC on a unix socket, on a cloned database with the case's rows."""

    name = "python-grpc"

    def __init__(self, server: Server, application: Path) -> None:
        self._server = server
        self._application = application

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        with tempfile.TemporaryDirectory(prefix="tc") as folder:
            address = f"unix:{folder}/s"
            async with _hosted(self._server, self._application, case, address), _remote(address) as calls:
                yield calls


@asynccontextmanager
async def _hosted(server: Server, application: Path, case: Case, listen: str | None = None) -> AsyncIterator[Calls]:
    async def fill(admin: Database) -> None:
        await load_state(admin, case.state)

    with tempfile.TemporaryDirectory(prefix="tricorn-") as folder:
        home = Path(folder)
        write_files(home, case.files)
        async with running(server, application, case.contexts, prepare=fill, listen=listen, home=home) as app:
            yield app.process.wire


class AtAddress:
    """Whatever answers gRPC at an address. Only for cases without state."""

    def __init__(self, address: str) -> None:
        self.name = address
        self._address = address

    @staticmethod
    def implements(case: Case) -> bool:
        """Whether a case needs nothing that is not there, and misses nothing that is."""
        return case.stateless and not case.alone

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        if not case.stateless:
            message = f"{case.id}: has state, and what {self._address} keeps is not ours to change"
            raise ValueError(message)
        async with _remote(self._address) as calls:
            yield calls


class AsProcess(_Shared):
    """The Python implementation as ``tricorn serve`` starts it: a process of the operating system for each case, on a
    database with its rows.
    """

    name = "process"

    def __init__(self, server: Server, manifest: Manifest) -> None:
        super().__init__()
        self._server = server
        self._manifest = manifest

    def implements(self, case: Case) -> bool:
        """Whether a process of ``tricorn.toml`` fits the case."""
        return process_for(self._manifest, case) is not None

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        process = process_for(self._manifest, case)
        if process is None:
            message = f"no process of tricorn.toml hosts {' and '.join(case.contexts)}{' alone' if case.alone else ''}"
            raise LookupError(message)
        if self._shares and case.reads:
            address = await self._share(process, lambda: self._start(process, f"shared_{process}", {}, {}))
            async with _remote(address) as calls:
                yield calls
            return
        async with self._start(process, "case", case.state, case.files) as address, _remote(address) as calls:
            yield calls

    @asynccontextmanager
    async def _start(
        self, process: str, name: str, state: Mapping[str, list[dict[str, Any]]], files: Mapping[str, bytes]
    ) -> AsyncIterator[str]:
        # A process makes its roles' names from its database's, so the copy is called as the roles of its template are.
        name = f"{self._manifest.name}_{name}"
        clones = Clones(self._server, migrations(self._manifest), prefix=name)
        with tempfile.TemporaryDirectory(prefix="tricorn-") as folder:
            home = Path(folder)
            write_files(home, files)
            async with clones.clone(name):
                url = self._server.admin_url(name)
                async with Database(url, size=1) as admin:
                    await load_state(admin, state)
                environment = {"DATABASE_URL": url, "TRICORN_CPU_WORKERS": "0"}
                async with started_python(self._manifest, process, state=home, environment=environment) as address:
                    yield address


class AsNative(_Shared):
    """The native parts of ``tricorn.toml`` in one language, each a process of its own.

    One that has databases gets a copy with the case's rows, on a server that runs as long as the target is entered. Where
    it keeps nothing itself, as one that reads published views may, all cases are played against one process and one copy.
    """

    def __init__(self, manifest: Manifest, language: str, home: Path) -> None:
        super().__init__()
        self.name = language
        self._manifest = manifest
        self._home = home
        self._postgres: EmbeddedPostgres | None = None

    def implements(self, case: Case) -> bool:
        """Whether a part in this language has the case's method, and the databases of all rows that it needs."""
        part = self._part(case)
        if part is None:
            return False
        native = self._manifest.natives[part]
        return not case.state or {*case.contexts} <= {*native.databases, *native.reads}

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        part = self._part(case)
        if part is None:
            message = f"there is no {self.name} for {case.policy.service}"
            raise LookupError(message)
        native = self._manifest.natives[part]
        if native.databases and not native.reads and not case.files:
            address, rows = await self._share(part, lambda: self._start_on_rows(part))
            await rows.become(case.state)
        elif self._shares and case.reads:
            address = await self._share(part, lambda: self._start(part, {}, {}))
        else:
            async with self._start(part, case.state, case.files) as address, _remote(address) as calls:
                yield calls
            return
        async with _remote(address) as calls:
            yield calls

    def _part(self, case: Case) -> str | None:
        for name, native in self._manifest.natives.items():
            if native.language == self.name and (
                case.policy.service in native.contracts or case.policy.full_name in native.methods
            ):
                return name
        return None

    @asynccontextmanager
    async def _start(
        self, part: str, state: Mapping[str, list[dict[str, Any]]], files: Mapping[str, bytes]
    ) -> AsyncIterator[str]:
        with tempfile.TemporaryDirectory(prefix="tricorn-") as folder:
            write_files(Path(folder), files)
            async with self._database(part) as (environment, rows):
                if rows is not None:
                    await rows.become(state)
                async with started_native(
                    self._manifest, part, home=self._home, state=Path(folder), environment=environment
                ) as address:
                    yield address

    @asynccontextmanager
    async def _start_on_rows(self, part: str) -> AsyncIterator[tuple[str, "_Rows"]]:
        async with self._database(part) as (environment, rows):
            assert rows is not None  # noqa: S101 - it has databases
            async with started_native(self._manifest, part, home=self._home, environment=environment) as address:
                yield address, rows

    @asynccontextmanager
    async def _database(self, part: str) -> AsyncIterator[tuple[dict[str, str], "_Rows | None"]]:
        """The variables that name a part's databases, and what changes the rows in them."""
        native = self._manifest.natives[part]
        if not native.databases and not native.reads:
            yield {}, None
            return
        server, contexts = await self._server(), dict.fromkeys([*native.databases, *native.reads])
        clones = Clones(server, migrations(self._manifest, list(contexts)), prefix=f"{self._manifest.name}_{part}")
        async with clones.clone() as name, Database(server.admin_url(name), size=1) as admin:
            environment = {f"TRICORN_DATABASE_{each.upper()}": clones.url(name, each) for each in native.databases}
            if native.reads:
                environment["TRICORN_DATABASE_PUBLISHED"] = server.url(name, clones.names.viewer(part))
            yield environment, _Rows(admin, await empty_tables(admin, native.databases))

    async def _server(self) -> EmbeddedPostgres:
        if not self._shares:
            message = f"{self.name} needs a database: play its cases within `async with`"
            raise RuntimeError(message)
        if self._postgres is None:
            folder = self._stack.enter_context(
                tempfile.TemporaryDirectory(prefix="tricorn-", ignore_cleanup_errors=True)
            )
            server = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
            await asyncio.to_thread(server.start)
            self._stack.push_async_callback(asyncio.to_thread, server.stop)
            self._stack.callback(setattr, self, "_postgres", None)
            self._postgres = server
        return self._postgres


class _Rows:
    """The rows of a database that cases share one after the other."""

    def __init__(self, admin: Database, emptied: Sequence[str]) -> None:
        self._admin = admin
        self._emptied = emptied

    async def become(self, state: Mapping[str, list[dict[str, Any]]]) -> None:
        """A case's state, and nothing that an earlier one left."""
        await load_state(self._admin, state, self._emptied)


def process_for(manifest: Manifest, case: Case) -> str | None:
    """The process that hosts what a case needs, and no more where that matters; None: there is none."""
    for name, process in manifest.processes.items():
        needed, there = set(case.contexts), set(process.contexts)
        if needed == there or (needed < there and not case.alone):
            return name
    return None


class _Remote:
    """Calls an address with the time that a case has: how fast an implementation must be is not what a case says."""

    def __init__(self, channel: RemoteChannel) -> None:
        self._channel = channel

    async def invoke(self, policy: MethodPolicy, request: Message) -> Message:
        return await self._channel.unary(policy, request, _call(policy))

    def open_stream(self, policy: MethodPolicy, request: Message) -> AsyncIterator[Message]:
        return self._channel.stream(policy, request, _call(policy))


def _call(policy: MethodPolicy) -> Call:
    call = current_call()
    if call is None:
        message = "a case is played within a call_scope"
        raise RuntimeError(message)
    return replace(call, method=policy.full_name)


@asynccontextmanager
async def _remote(address: str) -> AsyncIterator[Calls]:
    channel = RemoteChannel(address)
    try:
        yield _Remote(channel)
    finally:
        await channel.close()
