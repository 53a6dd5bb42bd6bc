"""Reads scalars as strictly as the protobuf JSON mapping's specification, from JSON values and from the text of paths
and queries.
"""

import binascii
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from tricorn.gateway.transcode.json_text import Duplicated, Malformed, Number

Read = Callable[[Any], Any]

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*|[A-Za-z0-9_-]*")
_FLOAT_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_LARGEST_FLOAT32 = (2 - 2**-24) * 2.0**127
"""From here on a float rounds to infinity; half a unit in the last place above the largest one."""

_MOST_DIGITS = 20
_BASE64_GROUP = 4


def describe(value: Any) -> str:
    """What a JSON value is, for a message."""
    kinds = {dict: "an object", Duplicated: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else kinds.get(type(value), "a number")


def wrong(wanted: str, value: Any) -> Malformed:
    return Malformed(f"must be {wanted}, not {describe(value)}")


def integer_reader(lowest: int, highest: int) -> Read:
    """Integers within a range: as a number, or as a string that is a number of JSON's grammar."""

    def read(value: Any) -> int:
        if type(value) is not int:
            value = _exact_integer(value)
        if not lowest <= value <= highest:
            raise Malformed(f"must be between {lowest} and {highest}")
        return value  # type: ignore[no-any-return]

    return read


def _exact_integer(value: Any) -> int:
    if type(value) is str or type(value) is Number:
        if _PLAIN_INTEGER.fullmatch(value):
            return int(value)
        if _NUMBER.fullmatch(value):
            number = Decimal(value)
            if not number:
                return 0
            if number.adjusted() >= _MOST_DIGITS:
                raise Malformed("is out of range")
            if number.adjusted() >= 0 and number == number.to_integral_value():
                return int(number)
        raise Malformed("must be an integer")
    raise wrong("an integer", value)


def double(value: Any) -> float:
    if type(value) is int or type(value) is Number or (type(value) is str and _NUMBER.fullmatch(value)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isinf(number):
            raise Malformed("is out of range")
        return number
    if type(value) is str:
        if value in _FLOAT_WORDS:
            return _FLOAT_WORDS[value]
        raise Malformed("must be a number")
    raise wrong("a number", value)


def single(value: Any) -> float:
    number = double(value)
    if abs(number) >= _LARGEST_FLOAT32 and not math.isinf(number):
        raise Malformed("is out of range")
    return number


def boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise wrong("true or false", value)


def boolean_text(value: Any) -> bool:
    if value == "true":
        return True
    if value == "false":
        return False
    raise Malformed("must be true or false")


def string(value: Any) -> str:
    if type(value) is not str:
        raise wrong("a string", value)
    if "\0" in value:
        raise Malformed("must not contain U+0000")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Malformed("must not contain half of a surrogate pair") from None
    return value


def octets(value: Any) -> bytes:
    """Base64, the standard or the URL-safe alphabet, with or without padding."""
    if type(value) is not str:
        raise wrong("a base64 string", value)
    digits = value.rstrip("=")
    padding = len(value) - len(digits)
    fill = -len(digits) % _BASE64_GROUP
    if not _BASE64.fullmatch(digits) or fill == _BASE64_GROUP - 1 or padding not in (0, fill):
        raise Malformed("must be base64")
    text = digits.replace("-", "+").replace("_", "/") + "=" * fill
    return binascii.a2b_base64(text)


def enum_reader(enum: EnumDescriptor) -> Read:
    """An enum's value by name, or by number (a number it does not know is kept, as the mapping asks)."""
    by_name = {value.name: value.number for value in enum.values}
    number = integer_reader(-(2**31), 2**31 - 1)

    def read(value: Any) -> int:
        if type(value) is str:
            try:
                return by_name[value]
            except KeyError:
                raise Malformed(f"must be one of {', '.join(list(by_name)[:20])}") from None
        if type(value) is int or type(value) is Number:
            return number(value)  # type: ignore[no-any-return]
        raise wrong("the name of an enum value", value)

    return read


def enum_text_reader(enum: EnumDescriptor) -> Read:
    read = enum_reader(enum)
    return lambda text: read(int(text) if _PLAIN_INTEGER.fullmatch(text) else text)


INT32 = integer_reader(-(2**31), 2**31 - 1)
INT64 = integer_reader(-(2**63), 2**63 - 1)
UINT32 = integer_reader(0, 2**32 - 1)
UINT64 = integer_reader(0, 2**64 - 1)

_JSON: dict[int, Read] = {
    FieldDescriptor.TYPE_INT32: INT32,
    FieldDescriptor.TYPE_SINT32: INT32,
    FieldDescriptor.TYPE_SFIXED32: INT32,
    FieldDescriptor.TYPE_INT64: INT64,
    FieldDescriptor.TYPE_SINT64: INT64,
    FieldDescriptor.TYPE_SFIXED64: INT64,
    FieldDescriptor.TYPE_UINT32: UINT32,
    FieldDescriptor.TYPE_FIXED32: UINT32,
    FieldDescriptor.TYPE_UINT64: UINT64,
    FieldDescriptor.TYPE_FIXED64: UINT64,
    FieldDescriptor.TYPE_DOUBLE: double,
    FieldDescriptor.TYPE_FLOAT: single,
    FieldDescriptor.TYPE_BOOL: boolean,
    FieldDescriptor.TYPE_STRING: string,
    FieldDescriptor.TYPE_BYTES: octets,
}


def json_reader(field: FieldDescriptor) -> Read:
    """Reads one element of a scalar or enum field from a JSON value."""
    if field.enum_type is not None:
        return enum_reader(field.enum_type)
    return _JSON[field.type]


def text_reader(field: FieldDescriptor) -> Read:
    """Reads one element of a scalar or enum field from text: a path, a query, the key of a map."""
    if field.enum_type is not None:
        return enum_text_reader(field.enum_type)
    return boolean_text if field.type == FieldDescriptor.TYPE_BOOL else _JSON[field.type]
