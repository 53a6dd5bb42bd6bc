"""Validation rules of the contracts as JSON-schema keywords."""

import re
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tricorn.v1 import validate_pb2

Schema = dict[str, Any]

_FORMATS = {
    "email": "email",
    "hostname": "hostname",
    "ipv4": "ipv4",
    "ipv6": "ipv6",
    "uri": "uri",
    "uri_ref": "uri-reference",
    "uuid": "uuid",
}
_STRING = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "const": "const"}
_NUMBER = {"gte": "minimum", "gt": "exclusiveMinimum", "lte": "maximum", "lt": "exclusiveMaximum", "const": "const"}
_REPEATED = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
_MAP = {"min_pairs": "minProperties", "max_pairs": "maxProperties"}


def rules_of(field: FieldDescriptor) -> Any:
    """The FieldRules of a field; empty ones when it has none."""
    return field.GetOptions().Extensions[validate_pb2.field]


def apply_rules(schema: Schema, rules: Any) -> None:
    """Adds what the rules say to the schema of one value, one array or one map."""
    kind = rules.WhichOneof("type")
    if kind is None:
        return
    said = getattr(rules, kind)
    if kind == "string":
        _copy(said, _STRING, schema)
        _string(said, schema)
    elif kind == "repeated":
        _copy(said, _REPEATED, schema)
        if said.HasField("items"):
            apply_rules(schema["items"], said.items)
    elif kind == "map":
        _copy(said, _MAP, schema)
        if said.HasField("values"):
            apply_rules(schema["additionalProperties"], getattr(said, "values"))  # noqa: B009 - messages have a method of that name
    elif kind == "enum":
        _enum(said, schema)
    elif kind == "bytes":
        return
    else:
        _copy(said, {name: key for name, key in _NUMBER.items() if name in said.DESCRIPTOR.fields_by_name}, schema)
        if kind not in ("bool", "any", "duration", "timestamp", "field_mask") and getattr(said, "in"):
            schema["enum"] = list(getattr(said, "in"))


def notes(rules: Any) -> list[str]:
    """The rules that no keyword can say, in their own words."""
    return [rule.message for rule in rules.cel if rule.message]


def is_needed(field: FieldDescriptor, schema: Schema) -> bool:  # noqa: PLR0911 - one for each kind of field
    """Whether a request without the field is always refused: it is required, or its default breaks its rules."""
    rules = rules_of(field)
    if rules.required:
        return True
    if field.has_presence or rules.ignore in (validate_pb2.IGNORE_IF_ZERO_VALUE, validate_pb2.IGNORE_ALWAYS):
        return False
    if field.is_repeated:
        return bool(schema.get("minItems") or schema.get("minProperties"))
    if "enum" in schema and field.enum_type is None:
        return field.default_value not in schema["enum"]
    if field.type == FieldDescriptor.TYPE_STRING:
        pattern = schema.get("pattern")
        return bool(
            schema.get("minLength")
            or schema.get("format") in _FORMATS.values()
            or schema.get("const")
            or (pattern and not re.search(pattern, ""))
        )
    if field.enum_type is not None:
        return (
            field.enum_type.values_by_number[0].name not in schema["enum"]
            if 0 in field.enum_type.values_by_number
            else False
        )
    return bool(
        schema.get("minimum", 0) > 0
        or schema.get("exclusiveMinimum", -1) >= 0
        or schema.get("maximum", 0) < 0
        or schema.get("const")
    )


def exclusions(message: Descriptor) -> list[Schema]:
    """Of a oneof at most one field may be there; of a required one exactly one."""
    made: list[Schema] = []
    for oneof in message.oneofs:
        names = [field.json_name for field in oneof.fields]
        if len(names) < 2:  # noqa: PLR2004 - the marker of an optional field
            continue
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required:
            made.append({"oneOf": [{"required": [name]} for name in names]})
        else:
            none = {"not": {"anyOf": [{"required": [name]} for name in names]}}
            made.append({"oneOf": [*({"required": [name]} for name in names), none]})
    return made


def _copy(said: Any, keywords: dict[str, str], schema: Schema) -> None:
    for name, keyword in keywords.items():
        if said.HasField(name):
            schema[keyword] = getattr(said, name)


def _string(said: Any, schema: Schema) -> None:
    if said.HasField("len"):
        schema["minLength"] = schema["maxLength"] = said.len
    allowed = getattr(said, "in")
    if allowed:
        schema["enum"] = list(allowed)
    known = said.WhichOneof("well_known")
    if known in _FORMATS:
        schema["format"] = _FORMATS[known]
    if said.HasField("prefix") and "pattern" not in schema:
        schema["pattern"] = "^" + re.escape(said.prefix)


def _enum(said: Any, schema: Schema) -> None:
    numbers = schema.pop("x-numbers", None) or {}
    allowed, refused = list(getattr(said, "in")), list(said.not_in)
    if allowed:
        schema["enum"] = [name for name, number in numbers.items() if number in allowed]
    if refused:
        schema["enum"] = [name for name in schema["enum"] if numbers[name] not in refused]
