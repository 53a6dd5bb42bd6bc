"""Makers of scalar values that keep to the rules of their field, with a liking for what lies at the edges."""

import math
import struct
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from tricorn.prove.inputs.draws import Draws
from tricorn.prove.inputs.rules import INTEGERS, Rules
from tricorn.prove.inputs.scope import Scope, Shared
from tricorn.prove.inputs.texts import bytes_maker, text_maker
from tricorn.v1 import validate_pb2

Maker = Callable[[Scope], Any]

_EDGES = (0, 1, 2, 3, 7, 8, 9, 10, 11, 49, 50, 51, 99, 100, 101, 127, 128, 255, 256, 999, 1000, 9999, 10_000, 10_001, 65_535, 65_536,
          (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 53, (1 << 53) + 1, (1 << 63) - 1)  # fmt: skip
_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 0.1, 0.2, 0.30000000000000004, 1e-9, 1e9, 1e15, 123456.789, 5e-324, 1.7976931348623157e308,
           math.nan, math.inf, -math.inf)  # fmt: skip
_UNKNOWN_ENUM = (100, 4711, -1, (1 << 31) - 1)


def scalar_maker(descriptor: FieldDescriptor, rules: Rules) -> Maker:
    """What makes values for a field that is no message."""
    if rules.const is not None:
        return lambda _: rules.const
    if rules.allowed and descriptor.enum_type is None:
        allowed = [value for value in rules.allowed if value not in rules.refused]
        return lambda scope: scope.draws.pick(allowed)
    if descriptor.enum_type is not None:
        return _enums(descriptor, rules)
    return _of_type(descriptor, rules)


def _of_type(descriptor: FieldDescriptor, rules: Rules) -> Maker:
    if descriptor.type in INTEGERS:
        return _integers(descriptor, rules)
    if descriptor.cpp_type in {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}:
        return _floats(descriptor, rules)
    if descriptor.type == FieldDescriptor.TYPE_BOOL:
        return lambda scope: scope.draws.chance(50)
    if descriptor.type == FieldDescriptor.TYPE_BYTES:
        return bytes_maker(rules)
    return text_maker(descriptor, rules)


def _integers(descriptor: FieldDescriptor, rules: Rules) -> Maker:
    edges = sorted(
        {
            value
            for low, high in rules.ranges
            for value in (low, low + 1, high - 1, high, *_EDGES, *(-edge for edge in _EDGES))
            if low <= value <= high and value not in rules.refused
        },
        key=abs,
    )
    ranges, refused = rules.ranges, frozenset(rules.refused)

    def fits(value: Any) -> bool:
        return value not in refused and any(low <= value <= high for low, high in ranges)

    def evenly(draws: Draws) -> int:
        low, high = ranges[0] if len(ranges) == 1 else draws.pick(ranges)
        return draws.between(low, high)

    shared = Shared(descriptor.name, int, fits, evenly)

    def make(scope: Scope) -> int:
        draws = scope.draws
        how = draws.between(0, 99)
        if how < 30:
            return int(draws.pick(edges))
        low, high = ranges[0] if len(ranges) == 1 else draws.pick(ranges)
        if how < 40 and high - low > _NARROW:
            return int(shared.draw(scope))
        if how < 70 and high - low > _NARROW:
            # As many small ones as large ones: of few bits as often as of many.
            near = 0 if low <= 0 <= high else low if abs(low) < abs(high) else high
            wide = draws.between(0, 1 << draws.between(0, max(high - low, 1).bit_length() - 1))
            value = near + wide if near + wide <= high else near - wide
        else:
            value = draws.between(low, high)
        return int(value if fits(value) else draws.pick(edges))

    return make


_NARROW = 64


def _floats(descriptor: FieldDescriptor, rules: Rules) -> Maker:
    single = descriptor.cpp_type == FieldDescriptor.CPPTYPE_FLOAT
    said = rules.said

    def fits(value: float) -> bool:
        return value not in rules.refused and (said is None or _float_fits(said, value))

    low, high = _float_range(said)
    edges = [value for value in (low, high, *_FLOATS) if fits(value) and (not single or _is_single(value))] or [low]

    def make(scope: Scope) -> float:
        draws = scope.draws
        if draws.chance(40):
            return draws.pick(edges)
        if math.isinf(high - low) or high - low > 1e15:
            value = (draws.real() - 0.5) * 10.0 ** draws.between(-6, 12)
        else:
            value = low + (high - low) * draws.real()
        if draws.chance(30):
            value = float(round(value, draws.between(0, 3)))
        return value if fits(value) else draws.pick(edges)

    return make


def _float_fits(said: Any, value: float) -> bool:
    if said.finite and not math.isfinite(value):
        return False
    over = (not said.HasField("gt") or value > said.gt) and (not said.HasField("gte") or value >= said.gte)
    under = (not said.HasField("lt") or value < said.lt) and (not said.HasField("lte") or value <= said.lte)
    low, high = _float_range(said)
    return (over and under) if low <= high else (over or under)


def _float_range(said: Any) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    if said is not None:
        if said.HasField("gt"):
            low = math.nextafter(said.gt, math.inf)
        elif said.HasField("gte"):
            low = said.gte
        if said.HasField("lt"):
            high = math.nextafter(said.lt, -math.inf)
        elif said.HasField("lte"):
            high = said.lte
    return low, high


def _is_single(value: float) -> bool:
    if not math.isfinite(value):
        return True
    try:
        return bool(struct.unpack("<f", struct.pack("<f", value))[0] == value)
    except OverflowError:
        return False


def _enums(descriptor: Any, rules: Rules) -> Maker:
    said = rules.said if isinstance(rules.said, validate_pb2.EnumRules) else None
    defined: list[int] = sorted(descriptor.enum_type.values_by_number)
    known: list[int] = [number for number in rules.allowed or defined if number not in rules.refused]
    closed = descriptor.enum_type.is_closed or bool(rules.allowed) or (said is not None and said.defined_only)
    unknown = () if closed else tuple(number for number in _UNKNOWN_ENUM if number not in defined)

    def make(scope: Scope) -> int:
        if unknown and scope.draws.chance(4):
            return scope.draws.pick(unknown)
        return scope.draws.pick(known)

    return make
