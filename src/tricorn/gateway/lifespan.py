"""Start and stop of the application: the lifespan protocol, passed on to the mounts, and the watch over revocations."""

import asyncio
import contextlib
import logging

from tricorn.gateway.auth import Authenticator
from tricorn.gateway.config import AsgiApp, AuthConfig, Receive, Scope, Send
from tricorn.gateway.mounts import Mounts

log = logging.getLogger(__name__)

_MOUNT_TIME = 10.0


class _MountLifespan:
    """The lifespan of one mounted application, driven from outside. One that does not know the protocol is left alone."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_app: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self, scope: Scope) -> None:
        self._task = asyncio.create_task(self._run(scope))
        await self._tell("lifespan.startup")

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            await self._tell("lifespan.shutdown")
            self._task.cancel()

    async def _run(self, scope: Scope) -> None:
        async def send(message: dict[str, str]) -> None:
            await self._from_app.put(message["type"])

        try:
            await self._app(dict(scope), self._to_app.get, send)
        except Exception as error:  # noqa: BLE001 - by the protocol, whoever raises here does not speak it
            log.debug("a mount has no lifespan: %r", error)
        await self._from_app.put("")

    async def _tell(self, what: str) -> None:
        await self._to_app.put({"type": what})
        async with asyncio.timeout(_MOUNT_TIME):
            answer = await self._from_app.get()
        if answer == f"{what}.failed":
            raise RuntimeError(f"a mounted application failed at {what}")


class Lifespan:
    """Runs while the application is served. A server that has no lifespan may call `start` and `stop` itself."""

    def __init__(self, mounts: Mounts, authenticator: Authenticator | None, auth: AuthConfig | None) -> None:
        self._mounts = [_MountLifespan(app) for app in mounts.apps]
        self._authenticator = authenticator
        self._auth = auth
        self._watch: asyncio.Task[None] | None = None

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            stage = message["type"]
            try:
                if stage == "lifespan.startup":
                    await self.start(scope)
                else:
                    await self.stop()
            except Exception as error:
                log.exception("the gateway failed at %s", stage)
                await send({"type": f"{stage}.failed", "message": str(error)})
                return
            await send({"type": f"{stage}.complete"})
            if stage == "lifespan.shutdown":
                return

    async def start(self, scope: Scope) -> None:
        for mount in self._mounts:
            await mount.start(scope)
        if self._authenticator is not None:
            self._watch = asyncio.create_task(self._watch_revocations(self._authenticator))

    async def stop(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        for mount in self._mounts:
            await mount.stop()

    async def _watch_revocations(self, authenticator: Authenticator) -> None:
        interval = self._auth.revocations_interval if self._auth is not None else 30.0
        while True:
            try:
                await authenticator.read_revocations()
                wait = interval
            except Exception as error:  # noqa: BLE001 - tried again until it works
                log.warning("the issuer did not list the revoked sessions, asking again in a second: %r", error)
                wait = 1.0
            await asyncio.sleep(wait)
