"""Cross-origin requests, for the origins that the settings name."""

from tricorn.gateway.config import CorsConfig
from tricorn.gateway.exchange import Headers, Request

_EXPOSED = (
    b"ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Server-Timing, X-Request-Id, X-Trace-Id"
)
_ALLOWED_HEADERS = b"Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id, Traceparent"
_VARY = (b"vary", b"Origin")


class Cors:
    """Says to browsers which pages may call. Credentials are bearer tokens, never cookies, so none are allowed."""

    def __init__(self, config: CorsConfig) -> None:
        self._origins = {origin.encode() for origin in config.origins}
        self._any = b"*" in self._origins
        self._max_age = str(config.max_age).encode()

    def headers(self, request: Request, present: Headers) -> Headers:
        """What goes on every answer; ``present`` are those it has."""
        origin = request.headers.get(b"origin")
        added: Headers = [] if self._any else [_VARY]
        if (
            origin is not None
            and self._allows(origin)
            and not any(name == b"access-control-allow-origin" for name, _ in present)
        ):
            added += [self._allow_origin(origin), (b"access-control-expose-headers", _EXPOSED)]
        return added

    def preflight(self, request: Request, methods: list[str]) -> Headers:
        """What answers a browser that asks before it calls."""
        origin = request.headers.get(b"origin")
        if origin is None or b"access-control-request-method" not in request.headers or not self._allows(origin):
            return []
        return [
            self._allow_origin(origin),
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", _ALLOWED_HEADERS),
            (b"access-control-max-age", self._max_age),
        ]

    def _allows(self, origin: bytes) -> bool:
        return self._any or origin in self._origins

    def _allow_origin(self, origin: bytes) -> tuple[bytes, bytes]:
        return (b"access-control-allow-origin", b"*" if self._any else origin)
