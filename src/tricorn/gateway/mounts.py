"""Path prefixes that somebody else answers: an ASGI application in this process, or another process's own HTTP socket."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tricorn.gateway.config import AsgiApp, Mount, Receive, Scope, Send
from tricorn.gateway.exchange import too_large
from tricorn.gateway.limits import ClientAddresses
from tricorn.gateway.upstream import Upstream

_OURS = b"tricorn-"
_CHANGED = b"tricorn-changed"
_FORWARDED = (b"x-forwarded-", b"forwarded")


class Mounts:
    """Finds the mount of a path; the longest prefix wins.

    Args:
        mounts: Whoever answers, and below which prefix.
        addresses: Tells whose X-Forwarded-* headers are believed.
        body: The most bytes that a request's body may have.
        changed: Called before an answer goes out that says by the header ``Tricorn-Changed`` that something was changed.

    Raises:
        ValueError: A mount has no application and no socket, or both, or a prefix is taken twice.
    """

    def __init__(
        self, mounts: Sequence[Mount], addresses: ClientAddresses, *, body: int, changed: Callable[[], None]
    ) -> None:
        self._addresses = addresses
        self._body = body
        self._changed = changed
        self.apps: list[AsgiApp] = []
        self._by_prefix: list[tuple[str, AsgiApp]] = []
        for mount in sorted(mounts, key=lambda each: -len(each.prefix)):
            prefix = mount.prefix.rstrip("/")
            if not prefix.startswith("/"):
                raise ValueError(f"the mount {mount.prefix!r} does not begin with / or takes everything")
            if any(prefix == known for known, _ in self._by_prefix):
                raise ValueError(f"the mount {prefix} is declared twice")
            if (mount.app is None) == (mount.socket is None):
                raise ValueError(f"the mount {prefix} needs an application or a socket, and not both")
            app = mount.app or Upstream(str(mount.socket))
            self.apps.append(app)
            self._by_prefix.append((prefix, app))

    @property
    def prefixes(self) -> list[str]:
        """Of all mounts, without a slash at the end."""
        return [prefix for prefix, _ in self._by_prefix]

    def raw(self, path: str) -> AsgiApp | None:
        """The application at a path, as it was given."""
        for prefix, app in self._by_prefix:
            if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
                return app
        return None

    def find(self, path: str) -> AsgiApp | None:
        """The application at a path, behind which headers that outsiders must not set do not arrive.

        It raises ProblemError when a request's body is too large.
        """
        app = self.raw(path)
        if app is None:
            return None

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            peer = scope["client"][0] if scope.get("client") else ""
            headers = self.clean(scope["headers"], peer)
            announced = next((value for name, value in headers if name == b"content-length"), b"")
            if announced.isdigit() and int(announced[:19]) > self._body:
                raise too_large(self._body)
            passing = _Passing(receive, send, self._body, self._changed)
            await app({**scope, "headers": headers}, passing.receive, passing.send)

        return call

    def clean(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> list[tuple[bytes, bytes]]:
        """The headers without the platform's own, and without X-Forwarded-* unless a trusted proxy sent them."""
        dropped = (_OURS,) if self._addresses.trusts(peer) else (_OURS, *_FORWARDED)
        return [(name, value) for name, value in headers if not name.startswith(dropped)]


class _Passing:
    """A request on its way to a mount, with no more of a body than is taken, and its answer, without what is for the gateway alone."""

    def __init__(self, receive: Receive, send: Send, limit: int, changed: Callable[[], None]) -> None:
        self._receive = receive
        self._send = send
        self._limit = self._left = limit
        self._changed = changed
        self._answered = False

    async def receive(self) -> dict[str, Any]:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        if self._answered:  # too late to say why
            return {"type": "http.disconnect"}
        raise too_large(self._limit)

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._answered = True
            headers = [(name.lower(), value) for name, value in message.get("headers", ())]
            if any(name == _CHANGED for name, _ in headers):
                self._changed()
            message = {**message, "headers": [each for each in headers if not each[0].startswith(_OURS)]}
        await self._send(message)
