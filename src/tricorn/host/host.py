"""What a process offers to a context that registers with it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from google.protobuf.message import Message
from pydantic_settings import BaseSettings

from tricorn.clock import Clock
from tricorn.contract import PlatformReason, Refusal
from tricorn.data import Connection, Database
from tricorn.events import Announce, Begin, Subscription, announce_factory, begin_factory
from tricorn.events.poke import Poke
from tricorn.host.manifest import Auth
from tricorn.v1 import stats_pb2
from tricorn.wire import Caller

if TYPE_CHECKING:
    from tricorn.host.process import Process

_P = ParamSpec("_P")
_T = TypeVar("_T")
_R = TypeVar("_R")
_C = TypeVar("_C")
_S = TypeVar("_S", bound=BaseSettings)


class Host:
    """A context's side of its process: its database, its clients, what it serves and handles. Registering only wires; nothing runs yet."""

    def __init__(self, process: "Process", context: str) -> None:
        self._process = process
        self.context = context

    @property
    def database(self) -> Database:
        """The context's own database, with the rights of its runtime role. Open from the process's start to its stop.

        Raises:
            Refusal: INTERNAL, for a context that ``tricorn.toml`` gives none.
        """
        database = self._process.databases.get(self.context)
        if database is None:
            raise Refusal(PlatformReason.INTERNAL, f"the context {self.context} has no database")
        return database

    @property
    def poke(self) -> Poke:
        """Wakes the relay of this context's outbox; for works that are not opened by `begin`."""
        return self._process.pokes[self.context]

    @property
    def clock(self) -> Clock:
        return self._process.clock

    @property
    def environment(self) -> Literal["development", "production"]:
        return self._process.settings.environment

    @property
    def auth(self) -> Auth | None:
        """Whose tokens the gateway believes, for the context that issues them."""
        return self._process.manifest.auth

    @property
    def state_dir(self) -> Path:
        """A folder of this context that only the process's user can enter; for keys. Shared by the processes of a home."""
        folder = self._process.home / "contexts" / self.context
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def begin(self, repository: Callable[[Connection], _R]) -> Begin[_R]:
        """How the context opens its units of work, with a repository on each."""
        return begin_factory(self.database, repository, self.poke)

    @property
    def announce(self) -> Announce:
        """How the context makes a change of one row and publishes its event, where a unit of work would be one statement."""
        return announce_factory(self.database, self.poke)

    def client(self, client: Callable[[Caller], _C]) -> _C:
        """A client of a contract, wherever it is implemented."""
        return client(self._process.wire)

    def serve(self, server: object) -> None:
        """Answers a contract: ``server`` is an instance of its generated base."""
        self._process.service.add(server)

    def subscribe(
        self,
        event: type[Message],
        handler: Callable[..., Awaitable[None]],
        *,
        group: str,
        repository: Callable[[Connection], Any],
        reset: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        """Handles every event of a type once for the group: ``await handler(event, meta, work)``.

        ``await reset(work)`` empties the group's read model; with it `tricorn events rebuild` can replay the log to the group.
        """
        self._subscription(group, repository, reset).on(event, handler)

    def subscribe_many(
        self,
        event: type[Message],
        handler: Callable[..., Awaitable[None]],
        *,
        group: str,
        repository: Callable[[Connection], Any],
        reset: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        """As `subscribe`, for whoever has one statement for many events: ``await handler([(event, meta), ...], work)``.

        The events are of one type and in their order. The handler only writes: it publishes nothing and calls nobody.
        """
        self._subscription(group, repository, reset).on_many(event, handler)

    def _subscription(
        self, group: str, repository: Callable[[Connection], Any], reset: Callable[[Any], Awaitable[None]] | None
    ) -> Subscription[Any]:
        subscription = self._process.subscriptions.get(group)
        if subscription is None:
            contracts = self._process.manifest.contexts[self.context].contracts
            subscription = Subscription(group, self.database, repository, self.poke, contracts=contracts)
            self._process.subscriptions[group] = subscription
        subscription.reset = reset or subscription.reset
        return subscription

    def subscribe_broadcast(self, event: type[Message], handler: Callable[..., Awaitable[None]]) -> None:
        """Sees every event of a type in every process, from now on: ``await handler(event, meta)``."""
        self._process.broadcasts.append((event, handler))

    def on_gap(self, flush: Callable[[], Awaitable[None]]) -> None:
        """Awaited when broadcasts may have been missed: at the start, after the log was out of reach for seconds."""
        self._process.gaps.append(flush)

    def background(self, name: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        """Runs ``run(stop)`` as long as the process lives; started again with back-off when it raises."""
        self._process.backgrounds[name] = run

    def on_start(self, function: Callable[[], Awaitable[None]]) -> None:
        """Awaited in order of registration, once the databases are open and before anything is answered."""
        self._process.starts.append(function)

    def on_stop(self, function: Callable[[], Awaitable[None]]) -> None:
        """Awaited in reverse order, once nothing new is answered and before the databases close."""
        self._process.stops.append(function)

    def settings(self, model: type[_S]) -> _S:
        """The context's own settings, from the environment."""
        return model()

    def mount(self, prefix: str, application: Any) -> None:
        """Serves an ASGI application under a path prefix of the public port.

        By a header ``Tricorn-Changed`` it may say with an answer that it changed something: gateways then give no answer
        again that they have kept. They pass the header on to nobody. Whoever may change nothing must not bring it about.
        """
        self._process.mounts[prefix] = application

    async def cpu(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Computes a pure, picklable function in another process."""
        return await self._process.cpu.run(function, *args, **kwargs)

    async def stats(self) -> list[stats_pb2.ProcessStats]:
        """The counters of every process of the application that answers within a second."""
        return await self._process.gather_stats()
