"""Which methods may be answered by two implementations at once, and which of the two answers a call."""

import random
from collections.abc import AsyncIterator, Callable

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tricorn.contract import MethodPolicy, method_policy, service_policies
from tricorn.wire.bindings import ALL, Binding, Bindings, bucket

CALL = "CALL"
"""The split key of methods whose calls have nothing to do with each other."""

_KEYS = frozenset(
    {FieldDescriptor.CPPTYPE_STRING, FieldDescriptor.CPPTYPE_BOOL, FieldDescriptor.CPPTYPE_ENUM}
    | {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
    | {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
)

Chooser = Callable[[Message | AsyncIterator[Message]], bool]
"""Whether the native implementation gets the call with this request."""


def why_whole(policy: MethodPolicy, *, shared: bool) -> str:
    """Why a method can only be bound as a whole; empty when it may be split.

    ``shared``: both implementations keep its rows, idempotency keys included, in the same tables.
    """
    if not policy.split_key:
        return "its contract names no split key"
    if policy.split_key == CALL:
        return "" if policy.safe else "it has effects, so the calls of one entity must not be divided"
    if policy.client_streaming:
        return "its requests come as a stream"
    if _key_field(policy) is None:
        return f"its split key {policy.split_key!r} is no single string, number or bytes of its request"
    return "" if policy.safe else _why_effects_stay_together(policy, shared=shared)


def _why_effects_stay_together(policy: MethodPolicy, *, shared: bool) -> str:
    if not shared:
        return "it has effects, and the implementations share no rows"
    if not (policy.idempotent or policy.idempotency_key_field):
        return "it has effects, and neither a key nor its contract says that twice is once"
    return ""


def whole_methods(target: str, bindings: Bindings, *, shared: bool) -> dict[str, str]:
    """The methods of a contract, or the one method, that can only be bound as a whole, and why. Methods with bindings of their own are
    left out when a contract is asked about.

    Raises:
        KeyError: There is no such contract or method.
    """
    contract, slash, _ = target.partition("/")
    policies = [method_policy(target)] if slash else service_policies(contract)
    asked = [policy for policy in policies if slash or policy.full_name not in bindings.by_target]
    return {policy.name: why for policy in asked if (why := why_whole(policy, shared=shared))}


def chooser(policy: MethodPolicy, binding: Binding) -> Chooser:
    """What decides for each call of a method. Whatever must not be split stays with Python until all of it is bound."""
    share = binding.share
    if share >= ALL:
        return lambda _: True
    if share <= 0 or why_whole(policy, shared=binding.shared):
        return lambda _: False
    if policy.split_key == CALL:
        return lambda _: random.random() * ALL < share  # noqa: S311 - a lot, not a secret
    return lambda request: bucket(binding.target, key_of(policy, request)) < share  # type: ignore[arg-type]


def key_of(policy: MethodPolicy, request: Message) -> str:
    """The text that decides for a request: a string as it is, bytes as lower-case hexadecimal, an integer or an enum in decimal digits."""
    value: object = request
    for name in policy.split_key.split("."):
        value = getattr(value, name)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _key_field(policy: MethodPolicy) -> FieldDescriptor | None:
    message: Descriptor | None = policy.input.DESCRIPTOR  # type: ignore[assignment]
    field: FieldDescriptor | None = None
    for name in policy.split_key.split("."):
        field = None if message is None else message.fields_by_name.get(name)
        if field is None or field.is_repeated:
            return None
        message = field.message_type
    return field if field is not None and field.cpp_type in _KEYS else None
