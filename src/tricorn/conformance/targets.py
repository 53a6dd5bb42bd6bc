"""Implementations to play cases against: in this process, behind a socket, started for them, or at an address.

A target answers for one case at a time.
"""

import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from google.protobuf.message import Message

from tricorn.conformance.cases import Case
from tricorn.conformance.started import started_native, started_python
from tricorn.conformance.state import load_state, write_files
from tricorn.contract import MethodPolicy
from tricorn.data import Clones, Database
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
    """The native parts of ``tricorn.toml`` in one language, each a process of its own; only for cases without rows."""

    def __init__(self, manifest: Manifest, language: str, home: Path) -> None:
        super().__init__()
        self.name = language
        self._manifest = manifest
        self._home = home

    def implements(self, case: Case) -> bool:
        """Whether a part in this language has the case's contract."""
        return not case.state and self._part(case) is not None

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator[Calls]:
        part = self._part(case)
        if part is None:
            message = f"there is no {self.name} for {case.policy.service}"
            raise LookupError(message)
        if self._shares and case.reads:
            address = await self._share(part, lambda: started_native(self._manifest, part, home=self._home))
            async with _remote(address) as calls:
                yield calls
            return
        with tempfile.TemporaryDirectory(prefix="tricorn-") as folder:
            write_files(Path(folder), case.files)
            async with (
                started_native(self._manifest, part, home=self._home, state=Path(folder)) as address,
                _remote(address) as calls,
            ):
                yield calls

    def _part(self, case: Case) -> str | None:
        for name, native in self._manifest.natives.items():
            if native.language == self.name and case.policy.service in native.contracts:
                return name
        return None


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
