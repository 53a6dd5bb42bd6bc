"""Reads the well-known types, each of which has a JSON form of its own, into arguments for their constructors."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import struct_pb2

from tricorn.gateway.transcode import scalars
from tricorn.gateway.transcode.json_text import Duplicated, Malformed
from tricorn.gateway.transcode.scalars import Read, wrong

Arguments = dict[str, Any]

_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_DURATION = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]{1,9}))?s")
_MASK_PATH = re.compile(r"[a-z][a-zA-Z0-9]*(?:\.[a-z][a-zA-Z0-9]*)*")
_CAPITAL = re.compile(r"[A-Z]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_DURATION = 315_576_000_000
_LAST_HOUR, _LAST_MINUTE = 23, 59


def timestamp(value: Any) -> Arguments:
    """RFC 3339 with an offset, years 0001 to 9999, up to nine digits of a second."""
    if type(value) is not str:
        raise wrong("a timestamp such as 2026-01-31T12:00:00Z", value)
    found = _TIMESTAMP.fullmatch(value)
    if found is None:
        raise Malformed("must be a timestamp such as 2026-01-31T12:00:00Z")
    *parts, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime(*(int(part) for part in parts), tzinfo=UTC)  # type: ignore[misc, arg-type]
        if sign:
            if int(hours) > _LAST_HOUR or int(minutes) > _LAST_MINUTE:
                raise Malformed("must have an offset of less than a day")
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError):
        raise Malformed("must be a moment between the years 1 and 9999") from None
    since = moment - _EPOCH
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": _nanos(fraction)}


def duration(value: Any) -> Arguments:
    """Seconds with up to nine digits and an ``s``: ``1.5s``."""
    if type(value) is not str:
        raise wrong("a duration such as 1.5s", value)
    found = _DURATION.fullmatch(value)
    if found is None:
        raise Malformed("must be a duration such as 1.5s")
    sign, whole, fraction = found.groups()
    seconds, nanos = int(whole[:13]), _nanos(fraction)
    if seconds > _LONGEST_DURATION or (seconds == _LONGEST_DURATION and nanos):
        raise Malformed(f"must be at most {_LONGEST_DURATION} seconds")
    return {"seconds": -seconds, "nanos": -nanos} if sign else {"seconds": seconds, "nanos": nanos}


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


def field_mask(value: Any) -> Arguments:
    """Paths in lowerCamelCase, separated by commas."""
    if type(value) is not str:
        raise wrong("field names separated by commas", value)
    paths = value.split(",") if value else []
    for path in paths:
        if not _MASK_PATH.fullmatch(path):
            raise Malformed("must be field names in lowerCamelCase, separated by commas")
    return {"paths": [_CAPITAL.sub(lambda found: "_" + found[0].lower(), path) for path in paths]}


def struct(value: Any) -> Arguments:
    if type(value) is Duplicated:
        raise Malformed("stands twice in one object", value.key)
    if type(value) is not dict:
        raise wrong("an object", value)
    fields = {}
    for key, item in value.items():
        try:
            fields[scalars.string(key)] = struct_pb2.Value(**any_value(item))
        except Malformed as bad:
            raise bad.within(key) from None
    return {"fields": fields}


def list_value(value: Any) -> Arguments:
    if type(value) is not list:
        raise wrong("an array", value)
    values = []
    for index, item in enumerate(value):
        try:
            values.append(struct_pb2.Value(**any_value(item)))
        except Malformed as bad:
            raise bad.within(f"[{index}]") from None
    return {"values": values}


def any_value(value: Any) -> Arguments:
    kind = type(value)
    if value is None:
        return {"null_value": 0}
    if kind is bool:
        return {"bool_value": value}
    if kind is str:
        return {"string_value": scalars.string(value)}
    if kind is list:
        return {"list_value": struct_pb2.ListValue(**list_value(value))}
    if kind is dict or kind is Duplicated:
        return {"struct_value": struct_pb2.Struct(**struct(value))}
    return {"number_value": scalars.double(value)}


def _wrapper(read: Read) -> Read:
    return lambda value: {"value": read(value)}


WRAPPERS: Mapping[str, Read] = {
    "google.protobuf.DoubleValue": scalars.double,
    "google.protobuf.FloatValue": scalars.single,
    "google.protobuf.Int64Value": scalars.INT64,
    "google.protobuf.UInt64Value": scalars.UINT64,
    "google.protobuf.Int32Value": scalars.INT32,
    "google.protobuf.UInt32Value": scalars.UINT32,
    "google.protobuf.BoolValue": scalars.boolean,
    "google.protobuf.StringValue": scalars.string,
    "google.protobuf.BytesValue": scalars.octets,
}

JSON_READERS: Mapping[str, Read] = {
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": field_mask,
    "google.protobuf.Struct": struct,
    "google.protobuf.ListValue": list_value,
    "google.protobuf.Value": any_value,
    **{name: _wrapper(read) for name, read in WRAPPERS.items()},
}
"""By the message's full name. Any and Empty are read by the reader of messages itself."""

NESTED_READERS: Mapping[str, Read] = {
    "google.protobuf.Struct": lambda value: struct_pb2.Struct(**struct(value)),
    "google.protobuf.ListValue": lambda value: struct_pb2.ListValue(**list_value(value)),
    "google.protobuf.Value": lambda value: struct_pb2.Value(**any_value(value)),
}
"""Those of which constructors take arguments for plain Python values, so that within a message they are made at once."""

TEXT_READERS: Mapping[str, Read] = {
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": field_mask,
    **{name: _wrapper(read) for name, read in WRAPPERS.items()},
    "google.protobuf.BoolValue": _wrapper(scalars.boolean_text),
}
"""The well-known types that a query parameter can carry."""
