"""What a gateway is told when it is made, and what it expects of its surroundings."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.message import Message

from tricorn.contract import MethodPolicy

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Backend(Protocol):
    """Whoever answers the methods; `tricorn.wire.Wire` is one. The caller's identity reaches it through
    `tricorn.wire.call_scope`.
    """

    async def invoke(self, policy: MethodPolicy, request: Message, *, deadline: float | None = None) -> Message: ...

    def open_stream(self, policy: MethodPolicy, request: Message) -> AsyncIterator[Message]: ...


@dataclass(frozen=True, slots=True)
class Rate:
    """``limit`` requests in ``period`` seconds, of which ``burst`` may come at once (None: all of them)."""

    limit: int
    period: float
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """Whose tokens are believed.

    ``keys`` answers a ``tricorn.v1.JsonWebKeySet``; ``revocations`` a ``tricorn.v1.ListRevocationsResponse``.
    """

    issuer: str
    audience: str
    keys: Callable[[], Awaitable[Message]]
    revocations: Callable[[], Awaitable[Message]] | None = None
    leeway: float = 5.0
    refresh_interval: float = 5.0
    """Seconds between two questions for keys that an unknown key id may cause."""
    renew_interval: float = 30.0
    """Seconds, more or less, between two questions for keys while tokens come: by then a withdrawn one is known."""
    revocations_interval: float = 30.0
    """Seconds between two full readings of the revocations, for those whose push was missed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body: int = 1 << 20
    body_time: float = 10.0
    header_bytes: int = 32 << 10
    header_count: int = 100
    header_time: float = 10.0
    target: int = 8 << 10
    gzip_from: int = 1024
    call_grace: float = 1.0
    """How long after its own deadline a call is given up by force."""
    cache_entries: int = 4096
    cache_bytes: int = 64 << 20
    limiter_entries: int = 100_000
    tokens: int = 20_000
    sse_heartbeat: float = 15.0


@dataclass(frozen=True, slots=True)
class Mount:
    """A path prefix that somebody else answers: an ASGI application, or an HTTP server on a unix socket."""

    prefix: str
    app: AsgiApp | None = None
    socket: str | None = None


@dataclass(slots=True)
class Observation:
    """What is known of a request when it is answered; times in seconds."""

    method: str
    route: str
    rpc: str
    status: int
    code: str
    seconds: float
    timings: Mapping[str, float]
    trace_id: str
    user_id: str
    client: str


Observer = Callable[[Observation], None]
"""Takes what the gateway saw of a request once it is answered, or its client went away (status 499). It must not block.
"""


@dataclass(frozen=True, slots=True)
class CorsConfig:
    """Origins that browsers may call from (``https://shop.example``); ``*`` for all. Empty: none."""

    origins: Sequence[str] = ()
    max_age: int = 600


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Everything a gateway needs."""

    backend: Backend
    policies: Sequence[MethodPolicy]
    title: str
    version: str
    description: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Every role an application declares, with what it means."""
    rates: Mapping[str, Rate] = field(default_factory=dict)
    auth: AuthConfig | None = None
    cors: CorsConfig = CorsConfig()
    limits: Limits = Limits()
    mounts: Sequence[Mount] = ()
    trusted_proxies: Sequence[str] = ()
    """Networks (``10.0.0.0/8``) whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    hsts: bool = False
    """Send Strict-Transport-Security: only where every request comes over TLS."""
    comments: Mapping[str, str] = field(default_factory=dict)
    """Comments of the contracts by full name (``agora.catalog.v1.Product.title``), for the OpenAPI document."""
    observer: Observer | None = None
    ready: Callable[[], Awaitable[Mapping[str, bool]]] | None = None
    """What must work for the gateway to be of use, by name, and whether it does."""
    wall: Callable[[], float] = time.time
    """The time of day, Unix seconds: what tokens are held against."""
    generation: Callable[[], int] = int
    """The generation of the bindings that hold now; answers that were cached under another are not given again."""
