"""Calls between contexts: the same deadlines, errors, validation and traces in process and over a socket."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tricorn.wire.bindings import Binding, Bindings, bucket
    from tricorn.wire.call import Call, Caller, Identity, call_scope, current_call
    from tricorn.wire.client import Wire
    from tricorn.wire.directory import Endpoints, OneChannel
    from tricorn.wire.endpoints import read_endpoints
    from tricorn.wire.server import GrpcServer, wait_until_serving
    from tricorn.wire.service import Service
    from tricorn.wire.taps import Tap
    from tricorn.wire.watched import BindingsFile

__all__ = [
    "Binding",
    "Bindings",
    "BindingsFile",
    "Call",
    "Caller",
    "Endpoints",
    "GrpcServer",
    "Identity",
    "OneChannel",
    "Service",
    "Tap",
    "Wire",
    "bucket",
    "call_scope",
    "current_call",
    "read_endpoints",
    "wait_until_serving",
]

_MODULES = {
    "bindings": ("Binding", "Bindings", "bucket"),
    "call": ("Call", "Caller", "Identity", "call_scope", "current_call"),
    "client": ("Wire",),
    "directory": ("Endpoints", "OneChannel"),
    "endpoints": ("read_endpoints",),
    "server": ("GrpcServer", "wait_until_serving"),
    "service": ("Service",),
    "taps": ("Tap",),
    "watched": ("BindingsFile",),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    # Imported on first use: the supervisor reads and writes bindings, and holds neither gRPC nor protobuf for it.
    if name not in _WHERE:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value
