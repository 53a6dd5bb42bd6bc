"""Messages as JSON schemas, one component for each type and direction."""

from collections.abc import Collection, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from tricorn.gateway.openapi.rules import Schema, apply_rules, exclusions, is_needed, notes, rules_of
from tricorn.gateway.transcode.json_read import is_map
from tricorn.v1 import options_pb2

_INTEGERS = {
    FieldDescriptor.TYPE_INT32: ("int32", -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SINT32: ("int32", -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_SFIXED32: ("int32", -(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: ("int64", 0, 2**32 - 1),
    FieldDescriptor.TYPE_FIXED32: ("int64", 0, 2**32 - 1),
}
_LONGS = {
    FieldDescriptor.TYPE_INT64: "^(0|-?[1-9][0-9]{0,18})$",
    FieldDescriptor.TYPE_SINT64: "^(0|-?[1-9][0-9]{0,18})$",
    FieldDescriptor.TYPE_SFIXED64: "^(0|-?[1-9][0-9]{0,18})$",
    FieldDescriptor.TYPE_UINT64: "^(0|[1-9][0-9]{0,19})$",
    FieldDescriptor.TYPE_FIXED64: "^(0|[1-9][0-9]{0,19})$",
}
_DURATION = {"type": "string", "pattern": r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?s$", "examples": ["1.5s"]}
_LONG = {"type": "string", "pattern": _LONGS[FieldDescriptor.TYPE_INT64], "format": "int64"}
_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": _DURATION,
    "google.protobuf.FieldMask": {
        "type": "string",
        "description": "Field names in lowerCamelCase, separated by commas.",
    },
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Any": {"type": "object", "properties": {"@type": {"type": "string"}}},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.DoubleValue": {"type": "number", "format": "double"},
    "google.protobuf.FloatValue": {"type": "number", "format": "float"},
    "google.protobuf.Int64Value": _LONG,
    "google.protobuf.UInt64Value": _LONG,
    "google.protobuf.Int32Value": {"type": "integer", "format": "int32"},
    "google.protobuf.UInt32Value": {"type": "integer", "format": "int64"},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.BytesValue": {"type": "string", "contentEncoding": "base64"},
}


class Schemas:
    """Collects the components of a document.

    What is sent and what is answered differ: an answer always has the fields that are no optionals, a request needs
    those whose absence breaks a rule and takes no unknown ones. The two get components of their own, named ``…Input``
    for requests.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self.components: dict[str, Schema] = {}

    def reference(self, message: Descriptor, *, is_input: bool) -> Schema:
        """A reference to the message's schema, or the schema itself where it has a JSON form of its own."""
        if message.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[message.full_name])
        name = message.full_name + ("Input" if is_input else "")
        if name not in self.components:
            self.components[name] = {}
            self.components[name].update(self.message(message, is_input=is_input))
        return {"$ref": f"#/components/schemas/{name}"}

    def message(self, message: Descriptor, *, is_input: bool, without: Collection[str] = ()) -> Schema:
        """The schema of a message, without the fields named (by their proto names)."""
        schema: Schema = {"type": "object", "title": message.name}
        self._describe(schema, message.full_name)
        properties, needed = {}, []
        for field in message.fields:
            if field.name in without or (is_input and _policy(field).idempotency_key):
                continue  # a key travels in its header: naming two ways would make both look optional
            made = properties[field.json_name] = self.field(field, is_input=is_input)
            if is_input:
                if is_needed(field, made) and not filled_by_header(field):
                    needed.append(field.json_name)
            elif not field.has_presence:
                needed.append(field.json_name)
        schema["properties"] = properties
        if needed:
            schema["required"] = needed
        if is_input:
            schema["additionalProperties"] = False
            oneofs = exclusions(message)
            if oneofs:
                schema["allOf"] = oneofs
        return schema

    def field(self, field: FieldDescriptor, *, is_input: bool) -> Schema:
        """The schema of a field, its comment and rules included."""
        if is_map(field):
            value = field.message_type.fields_by_name["value"] if field.message_type is not None else field
            schema: Schema = {"type": "object", "additionalProperties": self._element(value, is_input=is_input)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._element(field, is_input=is_input)}
        else:
            schema = self._element(field, is_input=is_input)
        if is_input:
            apply_rules(schema, rules_of(field))
            if (
                "minimum" in schema
                or "maximum" in schema
                or "exclusiveMinimum" in schema
                or "exclusiveMaximum" in schema
            ):
                schema = {key: "integer" if value == ["string", "integer"] else value for key, value in schema.items()}
                schema.pop("pattern", None)
        for each in (schema, schema.get("items", {}), schema.get("additionalProperties", {})):
            each.pop("x-numbers", None)
        self._describe(schema, field.full_name, notes(rules_of(field)) if is_input else [])
        if _policy(field).secret:
            schema["format"] = "password"
        return schema

    def _element(self, field: FieldDescriptor, *, is_input: bool) -> Schema:  # noqa: PLR0911 - one for each type
        if field.message_type is not None:
            return self.reference(field.message_type, is_input=is_input)
        if field.enum_type is not None:
            return _enum(field.enum_type)
        if field.type in _INTEGERS:
            name, lowest, highest = _INTEGERS[field.type]
            schema: Schema = {"type": "integer", "format": name}
            return {**schema, "minimum": lowest, "maximum": highest} if is_input else schema
        if field.type in _LONGS:
            kind: Any = ["string", "integer"] if is_input else "string"
            return {"type": kind, "format": "int64", "pattern": _LONGS[field.type]}
        if field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
            name = "double" if field.type == FieldDescriptor.TYPE_DOUBLE else "float"
            number: Schema = {"type": "number", "format": name}
            return number if is_input else {"anyOf": [number, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
        if field.type == FieldDescriptor.TYPE_BOOL:
            return {"type": "boolean"}
        return (
            {"type": "string", "contentEncoding": "base64"}
            if field.type == FieldDescriptor.TYPE_BYTES
            else {"type": "string"}
        )

    def _describe(self, schema: Schema, full_name: str, more: Collection[str] = ()) -> None:
        lines = [self._comments[full_name].replace("\n", " ")] if full_name in self._comments else []
        lines += [f"Rule: {note}." for note in more if note.lower() not in "".join(lines).lower()]
        if lines:
            schema["description"] = "\n\n".join(lines)


def filled_by_header(field: FieldDescriptor) -> bool:
    policy = _policy(field)
    return bool(policy.idempotency_key or policy.etag)


def _policy(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[options_pb2.field]


def _enum(enum: EnumDescriptor) -> Schema:
    if enum.full_name == "google.protobuf.NullValue":
        return {"type": "null"}
    names = {value.name: value.number for value in enum.values}
    return {"type": "string", "enum": list(names), "x-numbers": names}
