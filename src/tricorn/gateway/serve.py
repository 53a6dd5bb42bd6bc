"""Serves a gateway on a listening socket that it is given, and leaves it without losing a request.

The socket belongs to a supervisor, which starts a successor on it before it stops this one. So stopping is a drain:
stop accepting, say ``connection: close`` on every answer, wait until the connections have gone, and only then exit.
Stock uvicorn closes idle and accepted-but-unread connections.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import uvicorn

from tricorn.gateway.app import Gateway
from tricorn.gateway.protocol import protocol_class, sweep

if TYPE_CHECKING:
    from tricorn.gateway.upstream import Tunnel

log = logging.getLogger(__name__)

_CLOSE = (b"connection", b"close")
_SWEEP_EVERY = 50
"""Ticks of uvicorn's main loop, a tenth of a second each."""

_POLL = 0.05


class GatewayServer(uvicorn.Server):
    """One gateway on one process's event loop. Signals are the process's business: it sets ``stop``.

    Args:
        gateway: What is served.
        stop: Set by the owner; begins the drain.
        drain_time: Seconds that requests in progress get to end.
        idle_time: Seconds for which connections without a request stay open, so that a request already under way is
            still answered; 0 when no successor is there to take the next one. Asked again and again while it drains.
        keep_alive: Seconds that an idle connection is kept.
        lifespan: Whether the gateway starts and stops with this; else whoever owns it does that.
    """

    def __init__(
        self,
        gateway: Gateway,
        stop: asyncio.Event,
        *,
        drain_time: float = 10.0,
        idle_time: Callable[[], float] | float = 10.0,
        keep_alive: int = 30,
        lifespan: bool = True,
    ) -> None:
        self._tunnels: set[Tunnel] = set()
        super().__init__(
            uvicorn.Config(
                gateway,
                http=protocol_class(gateway, self._tunnels),
                ws="none",
                lifespan="on" if lifespan else "off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=keep_alive,
                timeout_graceful_shutdown=1,
            )
        )
        self._gateway = gateway
        self._stop = stop
        self._drain_time = drain_time
        self._idle_time = idle_time
        self.serving = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves until ``stop`` is set and the drain is over."""
        await self._serve(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    async def main_loop(self) -> None:
        ticking = asyncio.create_task(self._tick())
        try:
            await self._stop.wait()
            await self._drain()
        finally:
            ticking.cancel()
        self.should_exit = True

    async def _tick(self) -> None:
        counter = 0
        while True:
            await self.on_tick(counter)
            counter += 1
            if counter % _SWEEP_EVERY == 0:
                sweep(self.server_state.connections)
            await asyncio.sleep(0.1)

    async def _drain(self) -> None:
        began = time.monotonic()
        self._gateway.drain()
        # Answers under way hold the list itself, later ones get what the next tick makes of the configuration.
        self.config.encoded_headers.append(_CLOSE)
        self.server_state.default_headers.append(_CLOSE)
        await self._stop_accepting()
        connections: set[Any] = self.server_state.connections
        while connections:
            waited = time.monotonic() - began
            idle_time = self._idle_time() if callable(self._idle_time) else self._idle_time
            if waited >= idle_time:
                for connection in [each for each in connections if not each.is_busy]:
                    connection.transport.close()
            if waited >= max(self._drain_time, idle_time):
                log.warning("%d connections were cut after a drain of %.1f s", len(connections), waited)
                break
            await asyncio.sleep(_POLL)
        for tunnel in list(self._tunnels):
            tunnel.close()

    async def _stop_accepting(self) -> None:
        """Leaves the socket to others. What was accepted until now is served.

        The plain loop of 3.11 finishes accepting in tasks of their own, which fail, and leave their clients hanging,
        when the server has been closed meanwhile: so they get a moment. uvloop has no such tasks.
        """
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listener in server.sockets or ():
                with contextlib.suppress(RuntimeError):
                    loop.remove_reader(listener.fileno())
        await asyncio.sleep(_POLL)
        for server in self.servers:
            server.close()


class Door:
    """The public port as this process has it: opened and left as often as its owner says, while the process lives on.

    What was accepted before it was left is answered, also while it is open again: each opening has a server of its own.

    Args:
        gateway: What is served.
        public: The listening socket; it stays open.
        drain_time: Seconds that requests in progress get to end, when connections without one have been closed.
        idle_time: Seconds for which those stay open after the port was left; see `GatewayServer`.
    """

    def __init__(self, gateway: Gateway, public: socket.socket, *, drain_time: float, idle_time: float) -> None:
        self._gateway = gateway
        self._public = public
        self._drain_time = drain_time
        self._idle_time = idle_time
        self._closing = False
        self._stop: asyncio.Event | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Takes the port; returns once requests are accepted. Done again, it does nothing.

        Raises:
            RuntimeError: It cannot be served.
        """
        if self._stop is not None:
            return
        stop = asyncio.Event()
        server = GatewayServer(
            self._gateway,
            stop,
            drain_time=self._idle_time + self._drain_time,
            idle_time=lambda: 0.0 if self._closing else self._idle_time,
            lifespan=False,
        )
        self._gateway.draining.clear()
        serving = asyncio.create_task(server.serve([self._public.dup()]), name="gateway")
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        started = asyncio.create_task(server.serving.wait())
        await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            started.cancel()
            await serving
            raise RuntimeError("the gateway ended before it served")
        self._stop = stop

    async def leave(self) -> None:
        """Leaves the port to a successor, which accepts already. Done again, it does nothing."""
        if self._stop is not None:
            self._stop.set()
            self._stop = None
            await asyncio.sleep(_POLL)

    async def close(self) -> None:
        """Leaves the port for good: nobody follows, so connections without a request are closed at once. Returns when all is answered."""
        self._closing = True
        await self.leave()
        await asyncio.gather(*self._serving)
