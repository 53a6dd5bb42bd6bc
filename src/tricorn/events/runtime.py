"""The events of one process: its relays, its subscriptions, what is broadcast to it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from google.protobuf.message import Message

from tricorn.data import Database
from tricorn.events.broadcast import BroadcastHandler, OnGap, Tail
from tricorn.events.poke import Poke
from tricorn.events.relay import Relay, Route
from tricorn.events.sink import LocalSink
from tricorn.telemetry import get_logger

_log = get_logger("tricorn.events")


class Events:
    """Runs a relay for each context of this process and a tail for each that broadcasts to it.

    Args:
        databases: Of the contexts of this process, open before `start`. All on one server.
        pokes: Of the same contexts; started and stopped by whoever made them.
        sink: The durable subscriptions of this process.
        broadcasts: Types and handlers. Events are looked for in the context that the type's package names, or in all
            when it names none.
        remote: The groups of other processes that subscribe to events of these contexts.
        on_gap: Called when broadcasts may have been missed.
        name: Of the process, shown to operators.
    """

    def __init__(
        self,
        databases: Mapping[str, Database],
        pokes: Mapping[str, Poke],
        sink: LocalSink,
        broadcasts: Sequence[tuple[type[Message], BroadcastHandler]],
        *,
        remote: Iterable[Route] = (),
        on_gap: Iterable[OnGap] = (),
        name: str = "",
    ) -> None:
        # One connection listens for all contexts.
        listener = next(iter(databases.values()), None)
        routes = [Route(group, types, sink) for group, types in sink.routes.items()]
        routes.extend(remote)
        self.relays = {
            source: Relay(source, database, routes, name=name, listener=listener, own=pokes[source].token)
            for source, database in databases.items()
        }
        self.tails = {
            source: Tail(source, database, listener=listener, own=pokes[source].token)
            for source, database in databases.items()
            if _of_source(broadcasts, source, databases)
        }
        for source, tail in self.tails.items():
            for event_class, handler in _of_source(broadcasts, source, databases):
                tail.on(event_class, handler)
            for flush in on_gap:
                tail.on_gap(flush)
        for source, poke in pokes.items():
            poke.add_local(self.relays[source].poke)
            if source in self.tails:
                poke.add_local(self.tails[source].poke, self.tails[source].types)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Returns once no broadcast published from now on will be missed."""
        for kind, runners in (("relay", self.relays), ("tail", self.tails)):
            for source, runner in runners.items():
                task = asyncio.create_task(runner.run(self._stop), name=f"tricorn.events.{kind}.{source}")
                self._tasks.append(task)
        await asyncio.gather(*(tail.started.wait() for tail in self.tails.values()))

    async def stop(self) -> None:
        """Lets the deliveries under way end and gives the leases back, so that others can go on at once."""
        self._stop.set()
        tasks, self._tasks = self._tasks, []
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                _log.error("events did not stop in order", exc_info=result)

    async def drain(self, seconds: float = 10.0) -> None:
        """Waits until all that was published before, and all that its handlers publish, has been handled.

        Dead letters do not hold it up, events between two attempts do.

        Raises:
            TimeoutError: Something was not handled in time.
        """
        async with asyncio.timeout(seconds):
            before = -1
            while (handled := sum(relay.counts["delivered"] for relay in self.relays.values())) != before:
                before = handled
                await asyncio.gather(*(relay.drained() for relay in self.relays.values()))
            await asyncio.gather(*(tail.looked() for tail in self.tails.values()))


def _of_source(
    broadcasts: Sequence[tuple[type[Message], BroadcastHandler]], source: str, sources: Iterable[str]
) -> list[tuple[type[Message], BroadcastHandler]]:
    found = []
    for event_class, handler in broadcasts:
        named = {name for name in sources if name in event_class.DESCRIPTOR.full_name.split(".")}
        if source in (named or sources):
            found.append((event_class, handler))
    return found
