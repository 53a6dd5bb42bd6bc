"""One route of one method, from a request to its answer: who, how often, what, the call, the answer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from tricorn.contract import Level, PlatformReason, Refusal
from tricorn.gateway import negotiation
from tricorn.gateway.auth import Authenticator
from tricorn.gateway.cache import AnswerCache, Entry
from tricorn.gateway.config import Backend, Limits, Rate
from tricorn.gateway.exchange import Answer, ClientGoneError, Disconnect, Headers, ProblemError, Request
from tricorn.gateway.limits import ClientAddresses, LimitStore, Verdict, limit_group
from tricorn.gateway.problems import from_malformed, from_refusal, problem
from tricorn.gateway.sse import EventStream
from tricorn.gateway.transcode.binding import Binding
from tricorn.gateway.transcode.json_text import Malformed
from tricorn.v1 import options_pb2
from tricorn.wire import Identity, call_scope
from tricorn.wire.call import NO_METADATA

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor

_OK = 200
_NO_CONTENT = 204
_NOT_MODIFIED = 304
_KEY_HEADER = b"idempotency-key"
CLIENT_ADDRESS = "client-address"
"""The name under which a call's metadata says from which address it came, where its answer is not shared."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all endpoints of a gateway share."""

    backend: Backend
    authenticator: Authenticator | None
    addresses: ClientAddresses
    limits: Limits
    limiter: LimitStore
    rates: Mapping[str, Rate]
    cache: AnswerCache
    draining: asyncio.Event
    clock: Callable[[], float]


class Endpoint:
    """Serves a binding."""

    def __init__(self, binding: Binding, parts: Parts) -> None:
        self.binding = binding
        self.policy = policy = binding.policy
        self._parts = parts
        self._rate = parts.rates[policy.rate] if policy.rate else None
        self._request_type: Descriptor = policy.input.DESCRIPTOR  # type: ignore[assignment]
        self._version_field = policy.request_etag_field if not policy.safe else None
        self._sends_headers = policy.idempotency_key_field is not None or self._version_field is not None
        self._caching = _caching(binding)

    @property
    def name(self) -> str:
        return f"{self.binding.route.verb} {self.binding.route.template}"

    async def answer(self, request: Request, segments: list[str]) -> Answer:
        """Answers a request whose path and verb are this route's.

        Raises:
            ProblemError: The answer is a failure.
            ClientGoneError: Nobody waits for it any more.
        """
        policy = self.policy
        identity = await self._admit(request)
        self._check_form(request)
        body = await request.body(self._parts.limits)
        try:
            message = self._message(request, segments, body)
            if policy.server_streaming:
                return await self._stream(request, message, identity)
            return await self._call(request, message, identity)
        except Malformed as bad:
            raise ProblemError(from_malformed(bad)) from None
        except Refusal as refusal:
            raise ProblemError(from_refusal(refusal, self._request_type)) from refusal

    async def _admit(self, request: Request) -> Identity | None:
        began = time.perf_counter()
        header = request.headers.get(b"authorization")
        identity: Identity | None = None
        failure: Refusal | None = None
        authenticator = self._parts.authenticator
        if header is not None and authenticator is not None:
            text = header.decode("latin-1")
            identity = authenticator.remembered(text)
            if identity is None:
                try:
                    identity = await authenticator.authenticate(text)
                except Refusal as refusal:
                    failure = refusal
        elif self.policy.level is Level.USER:
            failure = Refusal(PlatformReason.UNAUTHENTICATED, "log in first: this needs a bearer token")
        request.identity = identity
        request.timings["auth"] = time.perf_counter() - began
        if self._rate is not None:
            await self._limit(request, identity)
        if failure is not None:
            found = from_refusal(failure)
            if header is not None and found.status == 401:  # noqa: PLR2004
                found.headers = [(b"www-authenticate", b'Bearer error="invalid_token"')]
            raise ProblemError(found)
        roles = self.policy.any_role
        if roles and (identity is None or not roles & identity.roles):
            detail = f"this needs the role {' or '.join(sorted(roles))}"
            raise ProblemError(problem(PlatformReason.PERMISSION_DENIED, detail))
        return identity

    async def _limit(self, request: Request, identity: Identity | None) -> None:
        assert self._rate is not None  # noqa: S101 - asked by the caller
        who = f"u:{identity.user_id}" if identity is not None else f"a:{limit_group(self._client(request))}"
        verdict = await self._parts.limiter.take(f"{self.policy.rate}:{who}", self._rate)
        request.extra += _limit_headers(verdict)
        if not verdict.allowed:
            wait = _whole_seconds(verdict.retry_after)
            raise ProblemError(
                problem(
                    PlatformReason.RATE_LIMITED,
                    f"too many requests of the class {self.policy.rate}; try again in {wait} s",
                    headers=[(b"retry-after", str(wait).encode())],
                )
            )

    def _check_form(self, request: Request) -> None:
        accept = request.headers.get(b"accept")
        if accept is not None and accept != b"*/*" and not self.binding.answers_raw_body:
            media_type = "text/event-stream" if self.policy.server_streaming else negotiation.JSON
            if not negotiation.accepts(accept.decode("latin-1"), media_type):
                raise ProblemError(problem(PlatformReason.NOT_ACCEPTABLE, f"the answer comes as {media_type} only"))
        if request.has_body and self.binding.takes_body:
            negotiation.check_content_encoding(request.header(b"content-encoding") or "")
            if not self.binding.takes_raw_body:
                negotiation.check_content_type(request.header(b"content-type") or "")

    def _message(self, request: Request, segments: list[str], body: bytes) -> Message:
        if body and not self.binding.takes_body:
            raise Malformed("this takes no body")
        headers: dict[str, tuple[str, str]] = {}
        if self._sends_headers:
            key_field = self.policy.idempotency_key_field
            key = request.header(_KEY_HEADER) if key_field else None
            if key_field and key is not None:
                headers[key_field] = ("Idempotency-Key", _visible(key))
        condition = request.header(b"if-match")
        if condition is not None and not self.policy.safe:
            if self._version_field is None:
                raise Malformed("this cannot be made to depend on If-Match")
            version = negotiation.required_version(condition)
            if version:
                headers[self._version_field] = ("If-Match", version)
        content_type = request.header(b"content-type") or "" if self.binding.takes_raw_body else ""
        return self.binding.request(segments, request.query, body, content_type, headers)

    async def _call(self, request: Request, message: Message, identity: Identity | None) -> Answer:
        began = time.perf_counter()
        user = None if identity is None else identity.user_id
        policy, cache = self.policy, self._parts.cache
        entry: Entry | None = None
        age: float | None = None
        try:
            if policy.cache is not None and policy.safe:
                key = self._cache_key(message, user)
                entry = cache.find(key, user)
                if entry is not None:
                    age = self._parts.clock() - entry.began
                else:
                    ask = partial(self._ask, message, identity)
                    entry = await self._guarded(request, cache.fetch(key, policy.cache.ttl, user, ask))
            else:
                about = {CLIENT_ADDRESS: self._client(request)}
                entry = await self._guarded(request, self._ask(message, identity, about))
        finally:
            if user is not None and not policy.safe:
                cache.wrote(user)
            request.timings["call"] = time.perf_counter() - began
        return self._answer(request, entry, age)

    def _client(self, request: Request) -> str:
        forwarded = request.header(b"x-forwarded-for")
        return self._parts.addresses.client(request.peer, [forwarded] if forwarded else [])

    async def _ask(self, message: Message, identity: Identity | None, about: Mapping[str, str] = NO_METADATA) -> Entry:
        policy = self.policy
        with call_scope(identity=identity, timeout=policy.deadline, metadata=about):
            answer = await self._parts.backend.invoke(policy, message)
        body, content_type = (b"", "") if policy.status == _NO_CONTENT else self.binding.answer(answer)
        field = policy.response_etag_field
        etag = negotiation.quote_etag(getattr(answer, field)) if field is not None else None
        return Entry(body, content_type, etag, 0.0)

    async def _guarded(self, request: Request, work: Any) -> Entry:
        """Waits for the call, but not longer than its deadline allows, nor longer than its client waits."""
        with Disconnect(request.receive) as watch:
            try:
                async with asyncio.timeout(self.policy.deadline + self._parts.limits.call_grace) as limit:
                    return await work  # type: ignore[no-any-return]
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not watch.gone or task is None:
                    raise
                task.uncancel()
                raise ClientGoneError from None
            except TimeoutError:
                if not limit.expired():
                    raise
                raise Refusal(PlatformReason.DEADLINE_EXCEEDED, "there was no answer in time") from None

    def _answer(self, request: Request, entry: Entry, age: float | None) -> Answer:
        headers: Headers = list(self._caching)
        if age is not None:
            headers.append((b"age", str(int(age)).encode()))
        if entry.etag is not None:
            headers.append((b"etag", entry.etag.encode()))
            condition = request.headers.get(b"if-none-match")
            if (
                condition is not None
                and self.policy.safe
                and negotiation.matches(condition.decode("latin-1"), entry.etag)
            ):
                return Answer(_NOT_MODIFIED, headers)
        status = self.policy.status
        if status == _NO_CONTENT:
            return Answer(status, headers)
        body = entry.body
        headers.append((b"content-type", entry.content_type.encode("latin-1", "replace")))
        if len(body) >= self._parts.limits.gzip_from:
            encoding = request.headers.get(b"accept-encoding")
            if encoding is not None and negotiation.accepts_gzip(encoding.decode("latin-1")):
                if entry.packed is None:
                    entry.packed = negotiation.gzip(body)
                body = entry.packed
                headers.append((b"content-encoding", b"gzip"))
        return Answer(status, headers, body)

    async def _stream(self, request: Request, message: Message, identity: Identity | None) -> Answer:
        parts = self._parts
        request.identity = identity
        stream = EventStream(self.binding, parts.backend, parts.limits, parts.draining, request)
        return await stream.begin(message)

    def _cache_key(self, message: Message, user: str | None) -> tuple[Any, ...]:
        caching = self.policy.cache
        assert caching is not None  # noqa: S101 - asked by the caller
        who = (user or "") if caching.vary_user else None
        if not caching.fields:
            return (
                self.policy.full_name,
                who,
                self.binding.route.response_body,
                message.SerializeToString(deterministic=True),
            )
        kept = type(message)()
        for name in caching.fields:
            field = self._request_type.fields_by_name[name]
            if field.is_repeated or field.message_type is not None:
                kept.MergeFrom(type(message)(**{name: getattr(message, name)}))
            else:
                setattr(kept, name, getattr(message, name))
        return (
            self.policy.full_name,
            who,
            self.binding.route.response_body,
            kept.SerializeToString(deterministic=True),
        )


def _visible(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable():
        raise Malformed("the header Idempotency-Key must be visible ASCII")
    return value


def _whole_seconds(seconds: float) -> int:
    return max(1, -int(-seconds // 1))


def _limit_headers(verdict: Verdict) -> Headers:
    return [
        (b"ratelimit-limit", str(verdict.limit).encode()),
        (b"ratelimit-remaining", str(verdict.remaining).encode()),
        (b"ratelimit-reset", str(-int(-verdict.reset // 1)).encode()),
    ]


def _caching(binding: Binding) -> Headers:
    """Cache-Control and Vary of a route's good answers."""
    policy = binding.policy
    vary = (
        b"Accept-Encoding"
        if policy.level is Level.PUBLIC and not (policy.cache and policy.cache.vary_user)
        else b"Authorization, Accept-Encoding"
    )
    if not policy.safe or _holds_secrets(policy.output.DESCRIPTOR, set()):
        return [(b"cache-control", b"no-store")]
    if policy.cache is not None and not policy.cache.vary_user and policy.level is Level.PUBLIC:
        return [(b"cache-control", b"public, max-age=%d" % int(policy.cache.ttl)), (b"vary", vary)]
    return [(b"cache-control", b"private, no-cache"), (b"vary", vary)]


def _holds_secrets(message: Any, seen: set[str]) -> bool:
    if message.full_name in seen:
        return False
    seen.add(message.full_name)
    return any(
        field.GetOptions().Extensions[options_pb2.field].secret
        or (field.message_type is not None and _holds_secrets(field.message_type, seen))
        for field in message.fields
    )
