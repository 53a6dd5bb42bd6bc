"""The gateway's ASGI application.

It is written by hand: a request passes one dictionary look-up or a short walk to its endpoint, where a general router
would try patterns one by one and wrap each layer of middleware around the call. A GET with a remembered token costs 40
us here, a POST of five lines 65 us (of it 11 us JSON), the server's own work not included.
"""

import asyncio
import time
from typing import Protocol

from tricorn import telemetry
from tricorn.contract import Level, PlatformReason, Refusal
from tricorn.gateway.auth import Authenticator
from tricorn.gateway.cache import AnswerCache
from tricorn.gateway.config import GatewayConfig, Observation, Receive, Scope, Send
from tricorn.gateway.cors import Cors
from tricorn.gateway.endpoint import Endpoint, Parts
from tricorn.gateway.exchange import Answer, ClientGoneError, ProblemError, Request
from tricorn.gateway.lifespan import Lifespan
from tricorn.gateway.limits import ClientAddresses, LimitStore, MemoryLimits
from tricorn.gateway.mounts import Mounts
from tricorn.gateway.pages import built_in_pages
from tricorn.gateway.problems import CONTENT_TYPE, Problem, from_refusal, internal, problem
from tricorn.gateway.transcode.binding import Binding
from tricorn.gateway.transcode.router import Router
from tricorn.gateway.transcode.template import parse_template

log = telemetry.get_logger(__name__)

_GONE = 499
_NO_CONTENT = 204
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
]
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Handler(Protocol):
    """Whoever answers a path and a verb."""

    @property
    def name(self) -> str: ...

    async def answer(self, request: Request, segments: list[str]) -> Answer: ...


class Gateway:
    """Serves the routes of the contracts, the pages that come with them, and the mounts. Made by `create_app`."""

    def __init__(self, config: GatewayConfig, *, limiter: LimitStore | None = None) -> None:
        self.config = config
        self.draining = asyncio.Event()
        self.authenticator = (
            Authenticator(config.auth, wall=config.wall, tokens=config.limits.tokens) if config.auth else None
        )
        ttls = [policy.cache.ttl for policy in config.policies if policy.cache is not None]
        self.cache = AnswerCache(
            time.monotonic,
            entries=config.limits.cache_entries,
            size=config.limits.cache_bytes,
            longest_ttl=max(ttls, default=0.0),
            generation=config.generation,
        )
        self.limiter = limiter or MemoryLimits(time.monotonic, config.limits.limiter_entries)
        self._addresses = ClientAddresses(list(config.trusted_proxies))
        self._parts = Parts(
            backend=config.backend,
            authenticator=self.authenticator,
            addresses=self._addresses,
            limits=config.limits,
            limiter=self.limiter,
            rates=config.rates,
            cache=self.cache,
            draining=self.draining,
            clock=time.monotonic,
        )
        self._router: Router[Handler] = Router()
        bindings = []
        for binding in _bindings(config):
            bindings.append(binding)
            self._router.add(binding.route.verb, binding.template, Endpoint(binding, self._parts))
        for path, page in built_in_pages(config, bindings).items():
            self._router.add("GET", parse_template(path), page)
        self.mounts = Mounts(config.mounts, self._addresses, body=config.limits.body, changed=self.cache.clear)
        self._lifespan = Lifespan(self.mounts, self.authenticator, config.auth)
        self._cors = Cors(config.cors) if config.cors.origins else None
        self._fixed_headers = [*_SECURITY, *([_HSTS] if config.hsts else [])]

    def revoke(self, session_id: str, expire_time: float) -> None:
        """Refuses the tokens of a session from now on. ``expire_time``: Unix seconds at which the last of them ends."""
        if self.authenticator is not None:
            self.authenticator.revoke(session_id, expire_time)

    async def start(self) -> None:
        """Starts what runs beside requests, for a server without a lifespan: the mounts, the watch over revoked sessions."""
        await self._lifespan.start({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}})

    async def stop(self) -> None:
        """Ends what `start` started."""
        await self._lifespan.stop()

    def drain(self) -> None:
        """Ends what would otherwise go on for long: event streams are told to come back."""
        self.draining.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan.run(scope, receive, send)
        elif kind == "websocket":
            mount = self.mounts.find(scope["path"])
            if mount is None:
                await receive()
                await send({"type": "websocket.close", "code": 1000})
            else:
                await mount(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        sent = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
        with (
            telemetry.continue_trace(None if sent is None else sent.decode("latin-1"), from_outside=True),
            telemetry.span(scope["method"], kind="server") as span,
        ):
            trace_id = span.context.trace_id
            request: Request | None = None
            handler: Handler | None = None
            try:
                request = Request(scope, receive)
                handler, segments, answer = self._route(request)
                if answer is None and handler is None:
                    mount = self.mounts.find(request.path)
                    if mount is not None:
                        await mount(scope, receive, send)
                        return
                    detail = f"there is nothing at {request.path[:200]}"
                    raise ProblemError(problem(PlatformReason.NOT_FOUND, detail))  # noqa: TRY301 - one place that answers
                if answer is None and handler is not None:
                    answer = await handler.answer(request, segments)
            except ProblemError as failure:
                answer = _failure(failure.problem, trace_id)
            except Refusal as refusal:
                answer = _failure(from_refusal(refusal), trace_id)
            except ClientGoneError:
                answer = None
            except Exception:
                log.exception("a request failed", route=handler.name if handler else "", path=scope["path"])
                answer = _failure(internal(), trace_id)
            if answer is not None:
                await self._send(send, request, answer, trace_id, began)
            self._observe(request, handler, answer, began, trace_id)

    def _route(self, request: Request) -> tuple[Handler | None, list[str], Answer | None]:
        if len(request.path) + len(request.query) > self.config.limits.target:
            found = problem(PlatformReason.PAYLOAD_TOO_LARGE, "the request's target is too long")
            found.status = 414
            raise ProblemError(found)
        if request.contradiction is not None:
            raise ProblemError(request.contradiction)
        at = self._router.find(request.path, request.method)
        if at is None:
            return None, [], None
        leaf, segments = at
        handler = leaf.routes.get(request.method)
        if handler is None and request.head:
            handler = leaf.routes.get("GET")
        if handler is not None:
            return handler, segments, None
        allowed = sorted({*leaf.routes, "OPTIONS", *(("HEAD",) if "GET" in leaf.routes else ())})
        allow = (b"allow", ", ".join(allowed).encode())
        if request.method == "OPTIONS":
            preflight = self._cors.preflight(request, allowed) if self._cors is not None else []
            return None, segments, Answer(_NO_CONTENT, [allow, *preflight])
        raise ProblemError(
            problem(
                PlatformReason.METHOD_NOT_ALLOWED,
                f"{request.method[:20]} is not among {', '.join(allowed)}",
                headers=[allow],
            )
        )

    async def _send(self, send: Send, request: Request | None, answer: Answer, trace_id: str, began: float) -> None:
        headers = answer.headers
        if request is not None:
            headers += request.extra
            timings = request.timings
            timings["total"] = time.perf_counter() - began
            headers.append(
                (
                    b"server-timing",
                    ", ".join([f"{name};dur={1000 * took:.2f}" for name, took in timings.items()]).encode(),
                )
            )
            headers.append((b"x-request-id", (request.request_id or trace_id).encode()))
            if self._cors is not None:
                headers += self._cors.headers(request, headers)
        headers.append((b"x-trace-id", trace_id.encode()))
        headers += self._fixed_headers
        body = answer.body
        if answer.stream is not None:
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await answer.stream(send)
            return
        if answer.status not in (_NO_CONTENT, 304):
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if request is not None and request.head else body})

    def _observe(
        self, request: Request | None, handler: Handler | None, answer: Answer | None, began: float, trace_id: str
    ) -> None:
        observer = self.config.observer
        if observer is None:
            return
        identity = request.identity if request else None
        observer(
            Observation(
                method=request.method if request else "",
                route=handler.name if handler else "",
                rpc=handler.policy.full_name if isinstance(handler, Endpoint) else "",
                status=answer.status if answer else _GONE,
                code=answer.code if answer else PlatformReason.CANCELLED,
                seconds=time.perf_counter() - began,
                timings=request.timings if request else {},
                trace_id=trace_id,
                user_id=identity.user_id if identity else "",
                client=request.peer if request else "",
            )
        )


def create_app(config: GatewayConfig, *, limiter: LimitStore | None = None) -> Gateway:
    """The application for a server such as `tricorn.gateway.serve` or any other that speaks ASGI 3.

    Raises:
        ValueError: The contracts and the configuration do not fit: a rate class or role that is not declared, two
            methods at one path, a route that cannot be served.
    """
    return Gateway(config, limiter=limiter)


def _bindings(config: GatewayConfig) -> list[Binding]:
    made = []
    for policy in config.policies:
        if policy.level is Level.INTERNAL or not policy.routes:
            continue
        if policy.rate and policy.rate not in config.rates:
            raise ValueError(f"{policy.full_name} has the rate class {policy.rate!r}, which is not declared")
        unknown = policy.any_role - config.roles.keys()
        if unknown:
            raise ValueError(f"{policy.full_name} asks for the role {min(unknown)!r}, which is not declared")
        if policy.client_streaming:
            raise ValueError(f"{policy.full_name} takes a stream, which no HTTP route can carry")
        if policy.level is Level.USER and config.auth is None:
            raise ValueError(f"{policy.full_name} needs a user, but no [auth] says whose tokens are believed")
        made += [Binding(policy, route) for route in policy.routes]
    return made


def _failure(found: Problem, trace_id: str) -> Answer:
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store"), *found.headers]
    return Answer(found.status, headers, found.body(trace_id), found.code)
