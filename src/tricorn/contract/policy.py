"""What a contract says of its methods, read once from the descriptors."""

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tricorn.v1 import options_pb2

DEFAULT_DEADLINE = 5.0
"""Seconds a unary call may take when its contract says nothing."""

DEFAULT_STREAM_IDLE = 15.0
DEFAULT_STREAM_TOTAL = 3600.0
SUCCESS = 200


class Level(Enum):
    """Who may call a method."""

    PUBLIC = 1
    USER = 2
    INTERNAL = 3


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long (seconds) an answer may be reused, and what it depends on; no ``fields`` means all of them."""

    ttl: float
    vary_user: bool
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One HTTP binding: the verb in capitals, the template of google.api.http, and which field is the body (``*``: all)."""

    verb: str
    template: str
    body: str
    response_body: str


@dataclass(frozen=True, slots=True, eq=False)
class MethodPolicy:
    """One method with everything its contract says of it. Times are in seconds."""

    full_name: str
    service: str
    name: str
    python_name: str
    descriptor: MethodDescriptor
    input: type[Message]
    output: type[Message]
    client_streaming: bool
    server_streaming: bool
    level: Level
    any_role: frozenset[str]
    rate: str
    cache: CachePolicy | None
    deadline: float
    stream_idle: float
    stream_total: float
    status: int
    split_key: str
    safe: bool
    idempotent: bool
    routes: tuple[HttpRoute, ...]
    idempotency_key_field: str | None
    request_etag_field: str | None
    response_etag_field: str | None


@cache
def service_policies(service: str) -> tuple[MethodPolicy, ...]:
    """The methods of a service (its full name), in the order of the contract.

    Raises:
        KeyError: No generated module that was imported declares the service.
    """
    descriptor = descriptor_pool.Default().FindServiceByName(service)
    return tuple(_read(method) for method in descriptor.methods)


@cache
def method_policy(full_name: str) -> MethodPolicy:
    """The policy of ``package.Service/Method``.

    Raises:
        KeyError: There is no such method.
    """
    service, _, name = full_name.rpartition("/")
    for policy in service_policies(service):
        if policy.name == name:
            return policy
    raise KeyError(full_name)


def flagged_field(message: Descriptor, flag: str) -> str | None:
    """The name of the field whose policy sets a flag (``etag``, ``idempotency_key``); None when there is none."""
    for field in message.fields:
        options = field.GetOptions()
        if options.HasExtension(options_pb2.field) and getattr(options.Extensions[options_pb2.field], flag):
            return field.name
    return None


def _read(method: MethodDescriptor) -> MethodPolicy:
    options = method.GetOptions()
    said = options.Extensions[options_pb2.method]
    safe = options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
    level = Level(said.auth.level) if said.auth.level else Level.INTERNAL
    return MethodPolicy(
        full_name=f"{method.containing_service.full_name}/{method.name}",
        service=method.containing_service.full_name,
        name=method.name,
        python_name=re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower(),
        descriptor=method,
        input=message_factory.GetMessageClass(method.input_type),
        output=message_factory.GetMessageClass(method.output_type),
        client_streaming=method.client_streaming,
        server_streaming=method.server_streaming,
        level=level,
        any_role=frozenset(said.auth.any_role),
        rate=said.rate,
        cache=_cache(said.cache) if said.HasField("cache") else None,
        deadline=_seconds(said.deadline) or DEFAULT_DEADLINE,
        stream_idle=_seconds(said.stream.idle) or DEFAULT_STREAM_IDLE,
        stream_total=_seconds(said.stream.total) or DEFAULT_STREAM_TOTAL,
        status=said.status or SUCCESS,
        split_key=said.split_key,
        safe=safe,
        idempotent=safe or options.idempotency_level == descriptor_pb2.MethodOptions.IDEMPOTENT,
        routes=_routes(options.Extensions[annotations_pb2.http]) if options.HasExtension(annotations_pb2.http) else (),
        idempotency_key_field=flagged_field(method.input_type, "idempotency_key"),
        request_etag_field=flagged_field(method.input_type, "etag"),
        response_etag_field=flagged_field(method.output_type, "etag"),
    )


def _cache(said: options_pb2.Cache) -> CachePolicy:
    return CachePolicy(_seconds(said.ttl), said.vary == options_pb2.Cache.USER, tuple(said.fields))


def _routes(rule: http_pb2.HttpRule) -> tuple[HttpRoute, ...]:
    verb = rule.WhichOneof("pattern")
    if verb == "custom":
        first = HttpRoute(rule.custom.kind.upper(), rule.custom.path, rule.body, rule.response_body)
    else:
        first = HttpRoute(verb.upper(), getattr(rule, verb), rule.body, rule.response_body)
    return (first, *(route for more in rule.additional_bindings for route in _routes(more)))


def _seconds(duration: Duration) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9
