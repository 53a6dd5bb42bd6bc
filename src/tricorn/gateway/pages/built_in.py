"""What answers ``/health``, ``/problems``, ``/openapi.json`` and ``/docs``."""

import asyncio
import html
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import resources

import orjson

from tricorn.contract import PlatformReason, reasons
from tricorn.gateway import negotiation
from tricorn.gateway.config import GatewayConfig
from tricorn.gateway.exchange import Answer, Headers, ProblemError, Request
from tricorn.gateway.openapi import openapi_document
from tricorn.gateway.problems import problem, problem_title, problem_type
from tricorn.gateway.transcode.binding import Binding

_JSON = (b"content-type", b"application/json")
_HTML = (b"content-type", b"text/html; charset=utf-8")
_FRESH = (b"cache-control", b"no-store")
_SHORT = (b"cache-control", b"no-cache")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_CSP = (b"content-security-policy", _POLICY.encode())
_READY_TIME = 2.0


class Page:
    """Something at a fixed path, the same for everyone."""

    def __init__(self, name: str, make: Callable[[Request, list[str]], Awaitable[Answer]]) -> None:
        self.name = name
        self._make = make

    async def answer(self, request: Request, segments: list[str]) -> Answer:
        return await self._make(request, segments)


def built_in_pages(config: GatewayConfig, bindings: Sequence[Binding]) -> Mapping[str, Page]:
    """The pages by path template."""
    pages = {
        "/health": _health(config),
        "/health/live": _live,
        "/health/ready": _health(config),
        "/openapi.json": _openapi(config, bindings),
        "/docs": _static("docs.html", [_HTML, _SHORT, _CSP]),
        "/docs/docs.js": _static("docs.js", [(b"content-type", b"text/javascript; charset=utf-8"), _SHORT]),
        "/docs/docs.css": _static("docs.css", [(b"content-type", b"text/css; charset=utf-8"), _SHORT]),
        "/problems": _problem_list,
        "/problems/{name}": _problem_page,
    }
    return {path: Page(f"GET {path}", make) for path, make in pages.items()}


_Make = Callable[[Request, list[str]], Awaitable[Answer]]


async def _live(_request: Request, _segments: list[str]) -> Answer:
    return Answer(200, [_JSON, _FRESH], b'{"status":"ok"}')


def _health(config: GatewayConfig) -> _Make:
    async def make(_request: Request, _segments: list[str]) -> Answer:
        checks: Mapping[str, bool] = {}
        if config.ready is not None:
            try:
                async with asyncio.timeout(_READY_TIME):
                    checks = await config.ready()
            except TimeoutError:
                checks = {"answered in time": False}
        good = all(checks.values())
        body = orjson.dumps({"status": "ok" if good else "unavailable", "checks": dict(checks)})
        headers: Headers = [_JSON, _FRESH] if good else [_JSON, _FRESH, (b"retry-after", b"1")]
        return Answer(200 if good else 503, headers, body)

    return make


def _openapi(config: GatewayConfig, bindings: Sequence[Binding]) -> _Make:
    made: list[bytes] = []

    async def make(request: Request, _segments: list[str]) -> Answer:
        if not made:
            made.append(orjson.dumps(openapi_document(config, bindings)))
        return _packed(request, made[0], [_JSON, _SHORT, (b"access-control-allow-origin", b"*")])

    return make


def _static(name: str, headers: Headers) -> _Make:
    async def make(request: Request, _segments: list[str]) -> Answer:
        return _packed(request, resources.files(__package__).joinpath(name).read_bytes(), list(headers))

    return make


def _packed(request: Request, body: bytes, headers: Headers) -> Answer:
    headers = [*headers, (b"vary", b"Accept-Encoding")]
    if negotiation.accepts_gzip(request.header(b"accept-encoding") or ""):
        return Answer(200, [*headers, (b"content-encoding", b"gzip")], negotiation.gzip(body))
    return Answer(200, headers, body)


async def _problem_list(request: Request, _segments: list[str]) -> Answer:
    rows = "".join(
        f'<tr><td><a href="{problem_type(entry.name)}">{entry.name}</a></td>'
        f"<td>{entry.http}</td><td>{entry.grpc}</td></tr>"
        for entry in sorted(reasons().values(), key=lambda each: (each.http, each.name))
    )
    table = f"<table><thead><tr><th>code</th><th>HTTP</th><th>gRPC</th></tr></thead><tbody>{rows}</tbody></table>"
    return _packed(request, _document("Problems", table), [_HTML, _SHORT, _CSP])


async def _problem_page(request: Request, segments: list[str]) -> Answer:
    entry = reasons().get(segments[-1].upper().replace("-", "_"))
    if entry is None:
        raise ProblemError(problem(PlatformReason.NOT_FOUND, f"there is no problem named {segments[-1][:100]}"))
    text = (
        f"<p>Code <code>{entry.name}</code>, HTTP status {entry.http}, gRPC status {entry.grpc}.</p>"
        '<p>The field <code>detail</code> of an answer says what was wrong. <a href="/problems">All problems</a></p>'
    )
    return _packed(request, _document(problem_title(entry.name), text), [_HTML, _SHORT, _CSP])


def _document(title: str, body: str) -> bytes:
    name = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/docs.css"></head>'
        f'<body><main class="plain"><h1>{name}</h1>{body}</main></body></html>'
    ).encode()
