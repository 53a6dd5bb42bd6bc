"""The protovalidate rules of a field, in a form to draw from: bounds as closed ranges, lists of what is and is not allowed.

What cannot be drawn for (CEL, ``contains`` with a pattern, formats with no maker here) sets ``unsure``: the message that comes out is then put
before the validator.
"""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tricorn.v1 import validate_pb2

INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SINT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SINT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_FIXED32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.TYPE_FIXED64: (0, (1 << 64) - 1),
}
"""The range of each integer type."""

_FIELD = validate_pb2.field
_NO_RULES = validate_pb2.FieldRules()
_known: dict[str, "Rules"] = {}


@dataclass(frozen=True, slots=True)
class Rules:
    """What a field may hold. ``said`` is the part of the rules for its own type (``StringRules``, ...), or None."""

    said: Any
    required: bool
    zero_is_free: bool
    """The zero value is allowed, whatever the rules say."""
    unsure: bool
    allowed: tuple[Any, ...] = ()
    refused: tuple[Any, ...] = ()
    const: Any = None
    ranges: tuple[tuple[Any, Any], ...] = field(default=())
    """Closed ranges of numbers; two where the rules leave out a middle."""


def field_rules(descriptor: FieldDescriptor) -> Rules:
    """The rules written beside a field."""
    known = _known.get(descriptor.full_name)
    if known is None:
        options = descriptor.GetOptions()
        said = options.Extensions[_FIELD] if options.HasExtension(_FIELD) else _NO_RULES
        known = _known[descriptor.full_name] = read_rules(descriptor, said)
    return known


def read_rules(descriptor: FieldDescriptor, rules: validate_pb2.FieldRules) -> Rules:
    """Rules for the values of a field; for those of its items, keys or values they are given apart."""
    if rules.ignore == validate_pb2.IGNORE_ALWAYS:
        rules = _NO_RULES
    kind = rules.WhichOneof("type")
    said: Any = getattr(rules, kind) if kind else None
    names = set() if said is None else {each.name for each in said.DESCRIPTOR.fields}
    return Rules(
        said=said,
        required=rules.required,
        zero_is_free=rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE,
        unsure=bool(rules.cel or rules.cel_expression or _has_predefined(said)),
        allowed=tuple(getattr(said, "in")) if "in" in names else (),
        refused=tuple(said.not_in) if "not_in" in names else (),
        const=said.const if "const" in names and said.HasField("const") else None,
        ranges=_ranges(descriptor, said if "gt" in names else None) if descriptor.type in INTEGERS else (),
    )


def is_required(oneof: Any) -> bool:
    """Whether one of a oneof's fields must be set."""
    options = oneof.GetOptions()
    return bool(options.HasExtension(validate_pb2.oneof) and options.Extensions[validate_pb2.oneof].required)


def message_is_unsure(descriptor: Descriptor) -> bool:
    """Whether a message has rules of its own, over several fields."""
    options = descriptor.GetOptions()
    if not options.HasExtension(validate_pb2.message):
        return False
    said = options.Extensions[validate_pb2.message]
    return bool(said.cel or said.cel_expression or said.oneof)


def _has_predefined(said: Any) -> bool:
    # Rules that an application adds to those of a type are extensions of its message.
    return said is not None and any(each.is_extension for each, _ in said.ListFields())


def _ranges(descriptor: FieldDescriptor, said: Any) -> tuple[tuple[int, int], ...]:
    least, most = INTEGERS[descriptor.type]
    low, high = least, most
    if said is not None:
        if said.HasField("gt"):
            low = said.gt + 1
        elif said.HasField("gte"):
            low = said.gte
        if said.HasField("lt"):
            high = said.lt - 1
        elif said.HasField("lte"):
            high = said.lte
    if low <= high:
        return ((low, high),)
    # A lower bound above the upper one means: not between them.
    return tuple((a, b) for a, b in ((least, high), (low, most)) if a <= b)
