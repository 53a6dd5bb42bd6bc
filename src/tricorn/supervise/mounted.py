"""What is mounted in a process of Python, offered to a gateway in another process by a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from tricorn.gateway import Gateway

_BACKLOG = 128
_GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    """Signals are the process's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def offered(gateway: Gateway, path: Path | None) -> AsyncIterator[Mapping[str, str]]:
    """Serve it on a unix socket that only this user may open, for as long as the block lasts: address by path prefix.

    Whoever may open the socket is believed: the gateway in front has taken out the headers that outsiders must not set, and says in
    X-Forwarded-For, alone, who the client is.
    """
    prefixes = gateway.mounts.prefixes
    if path is None or not prefixes:
        yield {}
        return

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        application = gateway.mounts.raw(scope["path"])
        if application is not None:
            await application(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    server = _Server(
        uvicorn.Config(
            mounted,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips="*",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve([_listen(path)]), name="mounts")
    try:
        yield dict.fromkeys(prefixes, f"unix:{path}")
    finally:
        server.should_exit = True
        await serving


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(_BACKLOG)
    return listener
