"""One HTTP request and its answer, as the rest of the gateway sees them."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tricorn.contract import PlatformReason
from tricorn.gateway.config import Limits, Receive, Scope, Send
from tricorn.gateway.problems import Problem, problem

if TYPE_CHECKING:
    from tricorn.wire import Identity

Headers = list[tuple[bytes, bytes]]

_ONCE = frozenset(
    (
        b"authorization",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"traceparent",
        b"x-request-id",
    )
)
_OURS = b"tricorn-"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")
_CLOSE = (b"connection", b"close")


class ClientGoneError(Exception):
    """The client closed the connection before it was answered."""


class ProblemError(Exception):
    """A failure that the gateway found itself."""

    def __init__(self, found: Problem) -> None:
        super().__init__(found.code, found.detail)
        self.problem = found


@dataclass(slots=True)
class Answer:
    """A status, headers and a body; or, for a stream, what sends the body once the head is out."""

    status: int
    headers: Headers
    body: bytes = b""
    code: str = ""
    stream: Callable[[Send], Awaitable[None]] | None = None


class Request:
    """A request. Metadata headers of the platform that come from outside are not in it."""

    __slots__ = (
        "_receive",
        "_scope",
        "contradiction",
        "extra",
        "head",
        "headers",
        "identity",
        "method",
        "path",
        "query",
        "timings",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.head = self.method == "HEAD"
        raw: bytes | None = scope.get("raw_path")
        self.path = raw.decode("latin-1") if raw is not None else scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.contradiction: Problem | None = None
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name not in headers:
                if not name.startswith(_OURS):
                    headers[name] = value
            elif name not in _ONCE:
                headers[name] += b", " + value
            elif headers[name] != value:
                detail = f"the header {name.decode('latin-1')} stands twice"
                self.contradiction = problem(PlatformReason.MALFORMED_REQUEST, detail)
        self.headers = headers
        self.identity: Identity | None = None
        self.extra: Headers = []
        self.timings: dict[str, float] = {}

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def peer(self) -> str:
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def request_id(self) -> str | None:
        """The caller's own id for the request; None when there is none that is fit to be repeated."""
        sent = self.header(b"x-request-id")
        return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else None

    @property
    def has_body(self) -> bool:
        return self.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in self.headers

    @property
    def receive(self) -> Receive:
        return self._receive

    async def body(self, limits: Limits) -> bytes:
        """The whole body.

        Raises:
            ProblemError: It is larger than allowed (413, whatever length was announced) or takes too long to come
            (408).
            ClientGoneError: The client left before all of it was there.
        """
        announced = self.headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced[:19]) > limits.body:
            raise too_large(limits.body)
        if not self.has_body:
            return b""
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(limits.body_time):
                while True:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGoneError
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > limits.body:
                        raise too_large(limits.body)
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            found = problem(
                PlatformReason.DEADLINE_EXCEEDED,
                f"the body did not come within {limits.body_time:g} s",
                headers=[_CLOSE],
            )
            found.status = 408
            raise ProblemError(found) from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_large(limit: int) -> ProblemError:
    """The answer to a body of more bytes than are taken; the connection ends, since nobody reads the rest of it."""
    return ProblemError(
        problem(PlatformReason.PAYLOAD_TOO_LARGE, f"a body may have at most {limit} bytes", headers=[_CLOSE])
    )


@dataclass(slots=True)
class Disconnect:
    """Cancels the running task when its client goes away.

    The first moments are not watched: most answers are sent before, and a watching task costs as much as a small
    answer.
    """

    receive: Receive
    after: float = 0.05
    gone: bool = False
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _watcher: asyncio.Task[None] | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self.after, self._begin, task)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _begin(self, task: "asyncio.Task[Any] | None") -> None:
        assert task is not None  # noqa: S101 - requests run in tasks
        self._watcher = asyncio.create_task(self._watch(task))

    async def _watch(self, task: "asyncio.Task[Any]") -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        task.cancel()
