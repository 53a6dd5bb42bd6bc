"""Whether two answers are the same, by the policies of their fields."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from tricorn.v1 import options_pb2

_EXACT = options_pb2.Compare()


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two answers differ, and what is there in each."""

    path: str
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, got {self.actual}"


def differences(expected: Message, actual: Message) -> list[Difference]:
    """Every place in which ``actual`` is not what its contract calls the same as ``expected``; both are of one type."""
    return list(_messages("", expected, actual))


def _messages(path: str, expected: Message, actual: Message) -> Iterator[Difference]:
    for field in expected.DESCRIPTOR.fields:
        compare = _compare(field)
        if compare.mode == options_pb2.Compare.IGNORE:
            continue
        where = f"{path}.{field.name}" if path else field.name
        if field.is_repeated:
            yield from _repeated(where, field, getattr(expected, field.name), getattr(actual, field.name), compare)
        elif field.has_presence and expected.HasField(field.name) != actual.HasField(field.name):
            yield Difference(where, _shown(expected, field), _shown(actual, field))
        elif not field.has_presence or expected.HasField(field.name):
            yield from _values(where, field, getattr(expected, field.name), getattr(actual, field.name), compare)


def _repeated(where: str, field: Any, expected: Any, actual: Any, compare: options_pb2.Compare) -> Iterator[Difference]:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        value = entry.fields_by_name["value"]
        for key in sorted({*expected, *actual}, key=str):
            if key in expected and key in actual:
                yield from _values(f"{where}[{key!r}]", value, expected[key], actual[key], compare)
            else:
                present, absent = ("present", "absent") if key in expected else ("absent", "present")
                yield Difference(f"{where}[{key!r}]", present, absent)
        return
    if len(expected) != len(actual):
        yield Difference(where, f"{len(expected)} entries", f"{len(actual)} entries")
        return
    if compare.mode == options_pb2.Compare.UNORDERED:
        left = list(actual)
        for index, value in enumerate(expected):
            twin = next((other for other in left if not list(_values("", field, value, other, _EXACT))), None)
            if twin is None:
                yield Difference(f"{where}[{index}]", str(value).strip(), "no entry like it")
            else:
                left.remove(twin)
        return
    for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
        yield from _values(f"{where}[{index}]", field, one, other, compare)


def _values(where: str, field: Any, expected: Any, actual: Any, compare: options_pb2.Compare) -> Iterator[Difference]:
    if field.message_type is not None:
        yield from _messages(where, expected, actual)
    elif isinstance(expected, float):
        if not _same_float(expected, actual, compare):
            yield Difference(where, repr(expected), repr(actual))
    elif expected != actual:
        yield Difference(where, _named(field, expected), _named(field, actual))


def _same_float(expected: float, actual: float, compare: options_pb2.Compare) -> bool:
    if math.isnan(expected) or math.isnan(actual):
        return math.isnan(expected) and math.isnan(actual)
    if compare.mode == options_pb2.Compare.ABSOLUTE:
        return abs(expected - actual) <= compare.tolerance
    if compare.mode == options_pb2.Compare.RELATIVE:
        return abs(expected - actual) <= compare.tolerance * max(abs(expected), abs(actual))
    if compare.mode == options_pb2.Compare.ULP:
        return abs(_ordered(expected) - _ordered(actual)) <= compare.tolerance
    return expected == actual


def _ordered(value: float) -> int:
    """A float's place among all floats, so that neighbours differ by one."""
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def _compare(field: Any) -> options_pb2.Compare:
    options = field.GetOptions()
    return options.Extensions[options_pb2.field].compare if options.HasExtension(options_pb2.field) else _EXACT


def _shown(message: Message, field: Any) -> str:
    return _named(field, getattr(message, field.name)) if message.HasField(field.name) else "absent"


def _named(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else str(value)
    return repr(value) if not isinstance(value, Message) else str(value).strip().replace("\n", " ")
