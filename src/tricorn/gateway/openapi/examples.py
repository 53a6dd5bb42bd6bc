"""Example values that fit a schema: the same ones every time."""

import re
from collections.abc import Mapping
from typing import Any

from tricorn.gateway.openapi.rules import Schema

_FORMATS: Mapping[str, str] = {
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "email": "someone@example.com",
    "date-time": "2026-01-31T12:00:00Z",
    "uri": "https://example.com/",
    "uri-reference": "/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_DEEPEST = 6
_SHORT_WORDS = ("text", "0", "1", "a", "A", "USD", "1s", "")


def example(  # noqa: C901, PLR0911 - one branch for each kind of schema
    schema: Schema, components: Mapping[str, Schema], name: str = "", depth: int = 0
) -> Any:
    """An example; None when none is found that is sure to fit."""
    if "$ref" in schema:
        return example(components[schema["$ref"].rpartition("/")[2]], components, name, depth + 1)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], components, name, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return next((value for value in schema["enum"] if not _is_nothing(value)), schema["enum"][0])
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return _object(schema, components, depth)
    if kind == "array":
        if depth > _DEEPEST:
            return []
        item = example(schema["items"], components, name, depth + 1)
        return [] if item is None else [item]
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return _number(schema)
    return _string(schema, name) if kind == "string" else None


def _is_nothing(value: Any) -> bool:
    return value == "" or str(value).endswith("_UNSPECIFIED")


def _object(schema: Schema, components: Mapping[str, Schema], depth: int) -> dict[str, Any]:
    made = {}
    required = schema.get("required", [])
    left_out = _alternatives(schema)
    for name, each in schema.get("properties", {}).items():
        if (depth > _DEEPEST and name not in required) or name in left_out:
            continue
        value = example(each, components, name, depth + 1)
        if value is not None:
            made[name] = value
    return made


def _alternatives(schema: Schema) -> set[str]:
    """Of each group of fields that exclude one another, all but the first."""
    names: set[str] = set()
    for group in schema.get("allOf", []):
        choices = [choice["required"][0] for choice in group.get("oneOf", []) if "required" in choice]
        names.update(choices[1:])
    return names


def _number(schema: Schema) -> float | int:
    lowest = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    highest = schema.get("maximum", schema.get("exclusiveMaximum", 2) - 1)
    return int(max(lowest, min(1, highest)))


def _string(schema: Schema, name: str) -> str | None:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if schema.get("contentEncoding"):
        return "dGV4dA=="
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower() or "text"
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 1 << 30)
    for word in (*schema.get("examples", []), words, *_SHORT_WORDS):
        fitted = word.ljust(shortest, "x")[:longest]
        if "pattern" not in schema or re.search(schema["pattern"], fitted):
            return str(fitted)
    return None
