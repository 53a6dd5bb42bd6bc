"""Fills the well-known types, which have rules and forms of their own."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf import wrappers_pb2

from tricorn.prove.inputs.rules import Rules
from tricorn.prove.inputs.scope import Scope

Fill = Callable[[Any, Scope, Rules], None]

_GIGA = 1_000_000_000
_FIRST, _LAST = -62_135_596_800 * _GIGA, 253_402_300_799 * _GIGA + _GIGA - 1
"""The years 1 to 9999, in nanoseconds."""
_LONGEST = 315_576_000_000 * _GIGA
_TIMES = (
    0,
    1,
    -1,
    _GIGA - 1,
    _GIGA,
    -_GIGA,
    951_782_400 * _GIGA,
    1_709_164_800 * _GIGA,
    (1 << 31) * _GIGA,
    1_767_225_600 * _GIGA,
)
_SPANS = (0, 1, -1, 999_999_999, _GIGA, -_GIGA, -_GIGA - 1, 60 * _GIGA, 3600 * _GIGA, 86_400 * _GIGA)
_PATHS = ("name", "title", "a.b", "create_time")


def _timestamp(message: Any, scope: Scope, rules: Rules) -> None:
    low, high, said = _FIRST, _LAST, rules.said
    if said is not None:
        low, high = _bounds(said, low, high)
        now = time.time_ns()
        if said.lt_now:
            high = min(high, now - 60 * _GIGA)
        if said.gt_now:
            low = max(low, now + 3600 * _GIGA)
        if said.HasField("within"):
            low, high = max(low, now - _nanos(said.within) // 2), min(high, now + _nanos(said.within) // 2)
    message.seconds, message.nanos = divmod(_value(scope, rules, low, high, _TIMES), _GIGA)


def _duration(message: Any, scope: Scope, rules: Rules) -> None:
    low, high = -_LONGEST, _LONGEST
    if rules.said is not None:
        low, high = _bounds(rules.said, low, high)
    value = _value(scope, rules, low, high, _SPANS)
    # Both parts have the sign of the whole.
    seconds, nanos = divmod(abs(value), _GIGA)
    message.seconds, message.nanos = (seconds, nanos) if value >= 0 else (-seconds, -nanos)


def _value(scope: Scope, rules: Rules, low: int, high: int, edges: tuple[int, ...]) -> int:
    draws = scope.draws
    if rules.const is not None:
        return _nanos(rules.const)
    if rules.allowed:
        return _nanos(draws.pick(rules.allowed))
    near = [edge for edge in (*edges, low, high) if low <= edge <= high]
    if draws.chance(35):
        return draws.pick(near)
    value = draws.between(low, high)
    whole = value - value % _GIGA
    return whole if draws.chance(40) and whole >= low else value


def _bounds(said: Any, low: int, high: int) -> tuple[int, int]:
    if said.HasField("gt"):
        low = _nanos(said.gt) + 1
    elif said.HasField("gte"):
        low = _nanos(said.gte)
    if said.HasField("lt"):
        high = _nanos(said.lt) - 1
    elif said.HasField("lte"):
        high = _nanos(said.lte)
    return (low, high) if low <= high else (low, _LAST)


def _nanos(value: Any) -> int:
    return int(value.seconds) * _GIGA + int(value.nanos)


def _field_mask(message: Any, scope: Scope, rules: Rules) -> None:
    choices = rules.allowed or tuple(path for path in _PATHS if path not in rules.refused)
    message.paths.extend(scope.draws.pick(choices) for _ in range(scope.draws.between(0, 3)))


def _any(message: Any, scope: Scope, rules: Rules) -> None:
    packed = wrappers_pb2.StringValue(value=scope.draws.pick(("", "a", "é")))
    message.Pack(packed)
    if rules.allowed:
        message.type_url = scope.draws.pick(rules.allowed)
        if not message.type_url.endswith("/google.protobuf.StringValue"):
            message.value = b""


def _struct(message: Any, scope: Scope, rules: Rules) -> None:
    for _ in range(scope.draws.between(0, 3)):
        _set_value(message.fields[scope.draws.pick(("a", "b", "é"))], scope, 2)


def _list_value(message: Any, scope: Scope, rules: Rules) -> None:
    for _ in range(scope.draws.between(0, 3)):
        _set_value(message.values.add(), scope, 2)


def _json_value(message: Any, scope: Scope, rules: Rules) -> None:
    _set_value(message, scope, 3)


def _set_value(message: Any, scope: Scope, depth: int) -> None:
    draws = scope.draws
    match draws.between(0, 5 if depth else 3):
        case 0:
            message.null_value = 0
        case 1:
            message.number_value = draws.pick((0.0, -0.0, 1.0, -1.5, 1e300, 0.1))
        case 2:
            message.string_value = draws.pick(("", "a", "é"))
        case 3:
            message.bool_value = draws.chance(50)
        case 4:
            message.list_value.SetInParent()
            for _ in range(draws.between(0, 2)):
                _set_value(message.list_value.values.add(), scope, depth - 1)
        case _:
            message.struct_value.SetInParent()
            for _ in range(draws.between(0, 2)):
                _set_value(message.struct_value.fields[draws.pick(("a", "b"))], scope, depth - 1)


def _empty(message: Any, scope: Scope, rules: Rules) -> None:
    return


WELL_KNOWN: Mapping[str, Fill] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
    "google.protobuf.Any": _any,
    "google.protobuf.Struct": _struct,
    "google.protobuf.ListValue": _list_value,
    "google.protobuf.Value": _json_value,
    "google.protobuf.Empty": _empty,
}
"""By the type's full name."""

WRAPPERS = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
"""Types that hold one scalar, so that it can be absent."""
