"""Going on in step: what comes within a short time of each other is done together from here on."""

import asyncio


class Pace:
    """Lets callers on at most every so many seconds, all who have come meanwhile at once. Who comes alone never waits.

    Those who are let on together ask for their next statements together, which then share them; see `Together`.

    Args:
        seconds: The longest that a caller waits.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._gate: asyncio.Event | None = None

    async def __call__(self) -> None:
        loop = asyncio.get_running_loop()
        if self._gate is None:
            if loop.time() >= self._next:
                self._next = loop.time() + self._seconds
                return
            self._gate = asyncio.Event()
            loop.call_at(self._next, self._open, self._gate)
        await self._gate.wait()

    def _open(self, gate: asyncio.Event) -> None:
        self._gate = None
        self._next = asyncio.get_running_loop().time() + self._seconds
        gate.set()
