"""Path prefixes that somebody else answers: an ASGI application in this process, or another process's own HTTP socket."""

from collections.abc import Iterable, Sequence

from tricorn.gateway.config import AsgiApp, Mount, Receive, Scope, Send
from tricorn.gateway.limits import ClientAddresses
from tricorn.gateway.upstream import Upstream

_OURS = b"tricorn-"
_FORWARDED = (b"x-forwarded-", b"forwarded")


class Mounts:
    """Finds the mount of a path; the longest prefix wins.

    Raises:
        ValueError: A mount has no application and no socket, or both, or a prefix is taken twice.
    """

    def __init__(self, mounts: Sequence[Mount], addresses: ClientAddresses) -> None:
        self._addresses = addresses
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
        """The application at a path, behind which headers that outsiders must not set do not arrive."""
        app = self.raw(path)
        if app is None:
            return None

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            peer = scope["client"][0] if scope.get("client") else ""
            await app({**scope, "headers": self.clean(scope["headers"], peer)}, receive, send)

        return call

    def clean(self, headers: Iterable[tuple[bytes, bytes]], peer: str) -> list[tuple[bytes, bytes]]:
        """The headers without the platform's own, and without X-Forwarded-* unless a trusted proxy sent them."""
        dropped = (_OURS,) if self._addresses.trusts(peer) else (_OURS, *_FORWARDED)
        return [(name, value) for name, value in headers if not name.startswith(dropped)]
