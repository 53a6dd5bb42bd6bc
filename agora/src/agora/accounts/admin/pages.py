"""Django's pages as an ASGI application on a few threads."""

import asyncio
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

from agora.accounts.admin.bridge import SCOPE_KEY, Bridge
from agora.accounts.orm import Threads

_FORM_BYTES = 1 << 20
_FORM_SECONDS = 10.0


class Pages:
    """Answers on one of ``threads``; Django alone would start a thread, and open a connection, for each request.

    A form is read before it gets one, within a size (413) and a time (408): whoever sends slowly holds up nobody.
    """

    def __init__(self, threads: Threads, bridge: Bridge) -> None:
        self._application = ASGIHandler()
        self._threads = threads
        self._bridge = bridge

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        whole = {**scope, SCOPE_KEY: self._bridge, "root_path": ""}
        form: list[Any] = []
        if scope["type"] == "http":
            try:
                async with asyncio.timeout(_FORM_SECONDS):
                    form = await _form(receive)
            except TimeoutError:
                await _refuse(send, 408)
                return
            if not form:
                await _refuse(send, 413)
                return

        async def again() -> Any:
            return form.pop(0) if form else await receive()

        async with self._threads.one() as executor, ThreadSensitiveContext(executor=executor):
            await self._application(whole, again, send)


async def _form(receive: Any) -> list[Any]:
    """The messages that a request consists of; none when there is more in them than a form has."""
    messages, size = [await receive()], 0
    while messages[-1].get("more_body", False):
        size += len(messages[-1].get("body", b""))
        if size > _FORM_BYTES:
            return []
        messages.append(await receive())
    return messages


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b""})
