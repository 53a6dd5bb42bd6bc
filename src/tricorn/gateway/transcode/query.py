"""Reads paths and query strings into the fields of a request."""

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tricorn.gateway.transcode.json_read import is_map
from tricorn.gateway.transcode.json_text import Malformed
from tricorn.gateway.transcode.scalars import Read, string, text_reader
from tricorn.gateway.transcode.well_known import TEXT_READERS, Arguments

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_MOST_PARAMETERS = 256
FieldPath = tuple[str, ...]


def decode_text(raw: str, *, plus: bool = False) -> str:
    """Percent-decodes a segment or a parameter (there, with ``plus``, a plus is a space).

    Raises:
        Malformed: A broken escape, bytes that are not UTF-8, or U+0000.
    """
    if plus and "+" in raw:
        raw = raw.replace("+", " ")
    if "%" not in raw and raw.isascii():
        return raw
    octets = raw.encode("latin-1") if not raw.isascii() else raw.encode()
    if any(found[1] is None for found in _ESCAPE.finditer(octets)):
        raise Malformed("holds a % that is no escape")
    try:
        return string(_ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), octets).decode())
    except UnicodeDecodeError:
        raise Malformed("is not UTF-8") from None


def put(arguments: Arguments, path: FieldPath, value: Any) -> bool:
    """Sets a field, nested or not. False when it was set to another value before."""
    for name in path[:-1]:
        arguments = arguments.setdefault(name, {})
    return bool(arguments.setdefault(path[-1], value) == value)


def singular_text_reader(field: FieldDescriptor) -> Read | None:
    """Reads one value of a field from text; None where text cannot carry it."""
    if field.message_type is not None:
        return TEXT_READERS.get(field.message_type.full_name)
    return text_reader(field)


class _Parameter(NamedTuple):
    path: FieldPath
    read: Read
    repeated: bool


class QueryReader:
    """Reads the query string of a route: every field that neither the path nor the body carries, nested ones by dots."""

    def __init__(self, descriptor: Descriptor, taken: Collection[FieldPath], *, everything_taken: bool = False) -> None:
        self._descriptor = descriptor
        self._taken = set(taken)
        self._closed = everything_taken
        self._known: dict[str, _Parameter] = {}

    def read(self, query: str, arguments: Arguments) -> None:
        """Adds the parameters to the request's arguments.

        Raises:
            Malformed: An unknown parameter, one given twice for a singular field, or a value that does not fit.
        """
        pairs = query.split("&")
        if len(pairs) > _MOST_PARAMETERS:
            raise Malformed(f"there are more than {_MOST_PARAMETERS} query parameters")
        for pair in pairs:
            if not pair:
                continue
            raw_name, _, raw_value = pair.partition("=")
            try:
                name = decode_text(raw_name, plus=True)
            except Malformed as bad:
                raise bad.within(raw_name) from None
            parameter = self._known.get(name) or self._find(name)
            try:
                value = parameter.read(decode_text(raw_value, plus=True))
            except Malformed as bad:
                raise bad.within(name) from None
            self._set(arguments, parameter, name, value)

    def _set(self, arguments: Arguments, parameter: _Parameter, name: str, value: Any) -> None:
        for step in parameter.path[:-1]:
            arguments = arguments.setdefault(step, {})
        last = parameter.path[-1]
        if parameter.repeated:
            arguments.setdefault(last, []).append(value)
        elif last in arguments:
            raise Malformed("is given twice", name)
        else:
            arguments[last] = value

    def _find(self, name: str) -> _Parameter:
        unknown = Malformed("there is no such query parameter", name)
        if self._closed:
            raise unknown
        descriptor, path = self._descriptor, []
        *parents, last = name.split(".")
        for part in parents:
            field = _field(descriptor, part)
            if field is None or field.message_type is None or field.is_repeated:
                raise unknown
            path.append(field.name)
            descriptor = field.message_type
        field = _field(descriptor, last)
        if field is None or is_map(field):
            raise unknown
        path.append(field.name)
        if any(tuple(path[:length]) in self._taken for length in range(1, len(path) + 1)):
            raise unknown
        read = singular_text_reader(field)
        if read is None:
            raise unknown
        parameter = self._known[name] = _Parameter(tuple(path), read, field.is_repeated)
        return parameter


def _field(descriptor: Descriptor, name: str) -> FieldDescriptor | None:
    found = descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
    if found is None:
        found = next((field for field in descriptor.fields if field.json_name == name), None)
    return found
