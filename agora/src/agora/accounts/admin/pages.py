"""Django's pages as an ASGI application on a few threads."""

from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler

from agora.accounts.admin.bridge import SCOPE_KEY, Bridge
from agora.accounts.orm import Threads


class Pages:
    """Answers on one of ``threads``; Django alone would start a thread, and open a connection, for each request."""

    def __init__(self, threads: Threads, bridge: Bridge) -> None:
        self._application = ASGIHandler()
        self._threads = threads
        self._bridge = bridge

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        whole = {**scope, SCOPE_KEY: self._bridge, "root_path": ""}
        async with self._threads.one() as executor, ThreadSensitiveContext(executor=executor):
            await self._application(whole, receive, send)
