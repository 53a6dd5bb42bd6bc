"""The public port in a process of Python: taken and left as the supervisor says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tricorn.gateway.serve import Door
from tricorn.supervise.mounted import offered
from tricorn.telemetry import get_logger

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tricorn.gateway import Gateway
    from tricorn.supervise.life import Life

_log = get_logger("tricorn.supervise")

IDLE_SECONDS = 10.0
"""For how long a gateway that was told to leave keeps connections without a request: the next request on them is still answered."""


@dataclass(frozen=True)
class PublicPort:
    """Args:
    listener: The listening socket.
    life: Where the supervisor says when to take and leave it; None: it is this process's as long as it runs.
    opened: Whether it is this process's at first.
    say: Tells the supervisor something.
    mounts: The unix socket on which what is mounted is offered to another gateway; None: nowhere.
    """

    listener: socket.socket
    life: Life | None = None
    opened: bool = True
    say: Callable[[dict[str, Any]], None] = lambda _: None
    mounts: Path | None = None

    async def serve(
        self, gateway: Gateway, stop: asyncio.Event, drain_seconds: float, on_ready: Callable[[], None]
    ) -> None:
        """Serves the gateway whenever the port is this process's, until `stop` is set."""
        door = Door(gateway, self.listener, drain_time=drain_seconds, idle_time=IDLE_SECONDS)
        words: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        await gateway.start()
        listening: asyncio.Task[None] | None = None

        def heard(word: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(words.put_nowait, str(word.get("gateway", "")))

        try:
            async with offered(gateway, self.mounts) as mounted:
                if mounted:
                    self.say({"mounts": mounted})
                if self.opened:
                    await door.open()
                on_ready()
                if self.life is not None:
                    listening = asyncio.create_task(self._obey(door, words))
                    self.life.listen(heard)
                await stop.wait()
                if listening is not None:
                    listening.cancel()
                    await asyncio.gather(listening, return_exceptions=True)
                await door.close()
        finally:
            await gateway.stop()

    async def _obey(self, door: Door, words: asyncio.Queue[str]) -> None:
        while True:
            word = await words.get()
            try:
                if word == "open":
                    await door.open()
                elif word == "leave":
                    await door.leave()
                self.say({"gateway": word})
            except Exception as error:  # noqa: BLE001 - the supervisor decides what becomes of it
                _log.error("the public port could not be changed", word=word, exc_info=error)
                self.say({"failed": f"python could not {word} the public port: {error!r}"})
