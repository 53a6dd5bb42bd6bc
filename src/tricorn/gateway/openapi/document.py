"""The whole document: every route, every type they reach, every way to fail."""

from collections.abc import Sequence
from typing import Any

from tricorn.contract import reasons
from tricorn.gateway.config import GatewayConfig
from tricorn.gateway.openapi.operations import operation, path_of
from tricorn.gateway.openapi.schemas import Schemas
from tricorn.gateway.problems import CONTENT_TYPE, problem_title, problem_type
from tricorn.gateway.transcode.binding import Binding

_PROBLEM = "Problem"
_HEADERS = {
    "ETag": ("The version of what is answered; give it back in If-Match or If-None-Match.", {"type": "string"}),
    "RateLimit-Limit": ("How many requests of this class fit into its period.", {"type": "integer"}),
    "RateLimit-Remaining": ("How many may still come at once.", {"type": "integer"}),
    "RateLimit-Reset": ("Seconds until all of them may come again.", {"type": "integer"}),
    "Retry-After": ("Seconds after which it may be tried again.", {"type": "integer"}),
    "Server-Timing": ("Where the time went, in milliseconds.", {"type": "string"}),
    "X-Request-Id": ("The id that was sent, or the trace id.", {"type": "string"}),
    "WWW-Authenticate": ("What is asked for: Bearer.", {"type": "string"}),
    "Allow": ("The verbs that this path has.", {"type": "string"}),
}
_EXTRA_HEADERS = {401: ["WWW-Authenticate"], 405: ["Allow"], 429: ["Retry-After"], 503: ["Retry-After"]}
_MEANINGS = {
    400: "The request is malformed or breaks a rule; `violations` says which.",
    401: "No token, or one that is wrong, ended or was revoked.",
    403: "The role is missing, or it belongs to somebody else.",
    404: "There is no such thing.",
    405: "This path has other verbs.",
    406: "The answer does not come in the form asked for.",
    408: "The body did not come in time.",
    409: "It does not go together with the state of things; `code` says why.",
    412: "The version given in If-Match is not the current one.",
    413: "The body is too large.",
    415: "The body must be JSON in UTF-8, not packed.",
    422: "It cannot be done with these values; `code` says why.",
    429: "Too many requests.",
    500: "Something went wrong here; the trace id helps to find out what.",
    503: "A part is not running at the moment.",
    504: "A part did not answer in time.",
}


def openapi_document(config: GatewayConfig, bindings: Sequence[Binding]) -> dict[str, Any]:
    """The OpenAPI 3.1 document. The same contracts give the same document, to the last key."""
    schemas = Schemas(config.comments)
    paths: dict[str, dict[str, Any]] = {}
    count: dict[str, int] = {}
    for binding in bindings:
        number = count[binding.policy.full_name] = count.get(binding.policy.full_name, -1) + 1
        path, _ = path_of(binding)
        made = operation(binding, number, schemas, config.comments)
        paths.setdefault(path, {})[binding.route.verb.lower()] = made
    services = dict.fromkeys(binding.policy.service for binding in bindings)
    return {
        "openapi": "3.1.0",
        "info": {"title": config.title, "version": config.version, "description": _introduction(config)},
        "servers": [{"url": "/"}],
        "tags": [_tag(service, config) for service in services],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "headers": {
                name: {"description": description, "schema": schema} for name, (description, schema) in _HEADERS.items()
            },
            "responses": _failures(),
            "schemas": {_PROBLEM: _problem_schema(), **dict(sorted(schemas.components.items()))},
        },
    }


def _introduction(config: GatewayConfig) -> str:
    parts = [config.description] if config.description else []
    if config.roles:
        parts.append("Roles:\n\n" + "\n".join(f"- `{name}`: {text}" for name, text in sorted(config.roles.items())))
    if config.rates:
        lines = [
            f"- `{name}`: {rate.limit} requests in {rate.period:g} s" for name, rate in sorted(config.rates.items())
        ]
        parts.append("Limits, for each user, else for each address:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _tag(service: str, config: GatewayConfig) -> dict[str, str]:
    comment = config.comments.get(service)
    return {"name": service, "description": comment.replace("\n", " ")} if comment else {"name": service}


def _failures() -> dict[str, Any]:
    made = {f"Problem{status}": _failure(meaning, status) for status, meaning in _MEANINGS.items()}
    return {"Problem": _failure("Any other failure; `code` says which.", None), **made}


def _failure(meaning: str, status: int | None) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": meaning,
        "content": {CONTENT_TYPE: {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
    }
    codes = sorted(entry.name for entry in reasons().values() if entry.http == status)
    if codes and status is not None:
        response["content"][CONTENT_TYPE]["example"] = {
            "type": problem_type(codes[0]),
            "title": problem_title(codes[0]),
            "status": status,
            "detail": "What was wrong, with what, and what to do.",
            "code": codes[0],
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
            "violations": [],
        }
        response["description"] += f" Codes: {', '.join(codes)}."
    extra = _EXTRA_HEADERS.get(status or 0)
    if extra:
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in extra}
    return response


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "title": "Problem",
        "description": "A failure, as RFC 9457 has it.",
        "required": ["type", "title", "status", "detail", "code", "traceId", "violations"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference", "description": "Where the code is explained."},
            "title": text,
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "description": "What was wrong, with what, and what to do."},
            "code": {"type": "string", "enum": sorted(reasons()), "description": "The reason, for programs."},
            "traceId": {"type": "string", "description": "By which the request is found in logs and traces."},
            "violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "rule", "message"],
                    "properties": {
                        "field": {"type": "string", "description": "The JSON path, such as `lines[0].quantity`."},
                        "rule": text,
                        "message": text,
                    },
                },
            },
            "metadata": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "Facts for programs, such as what is left of a product.",
            },
        },
    }
