"""Calls between contexts: the same deadlines, errors, validation and traces in process and over a socket."""

from tricorn.wire.call import Call, Caller, Identity, call_scope, current_call
from tricorn.wire.client import Wire
from tricorn.wire.directory import Endpoints, OneChannel, read_endpoints
from tricorn.wire.server import GrpcServer, wait_until_serving
from tricorn.wire.service import Service

__all__ = [
    "Call",
    "Caller",
    "Endpoints",
    "GrpcServer",
    "Identity",
    "OneChannel",
    "Service",
    "Wire",
    "call_scope",
    "current_call",
    "read_endpoints",
    "wait_until_serving",
]
