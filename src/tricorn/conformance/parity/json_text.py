"""JSON texts for the fields of a message, good ones and such as only one reader might take, as Hypothesis strategies."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

Texts = st.SearchStrategy[str]

_DEEPEST = 3
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SINT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_FIXED32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SINT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.TYPE_FIXED64: (0, (1 << 64) - 1),
}
_SLACK_NUMBERS = (
    *('"05"', '"+5"', '"1_000"', '"１２"', '"٣"', '" 5"', '"5 "', '"5.0"', '"5e0"', '"0x5"', '""', '"-0"', '"NaN"'),
    *("5.0", "5e0", "5E+0", "0.5e1", "5.00000000000000000001", "-0", "-0.0", "1e400", "1e-400", "9007199254740993.0", "05", "+5", ".5"),
    *("NaN", "Infinity", "-Infinity", "1_000", "0x5", "true", "null", "[5]", "{}", "[]", '"5"', '"-1"', "1.5", "-1.5e-1"),
)  # fmt: skip
_SLACK_TEXTS = (
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x41"', '"a\tb"', "'single'", "5", "true", "null", "[]", '["a"]', "{}"),
    *('"\\ud83c\\udfac"', '"\\u00e9"', '"e\\u0301"', '"\\/"', '"\\u202e"', '"\\ufeff"', '"\\uFFFF"', '""', '"unfinished'),
)  # fmt: skip
_SLACK_BOOLEANS = ('"true"', "1", "0", '"1"', "TRUE", "True", "null", "[]", '""')
_SLACK_FLOATS = (
    '".5"', "true", '"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '"inf"', "1e400", '"1e400"', '"0x1p3"', '""', '"1,5"',
)  # fmt: skip
_SLACK_BYTES = ('"-_-_"', '"+/+/"', '"YQ"', '"YQ=="', '"YQ="', '"Y"', '"Y Q=="', '"YQ==\\n"', '"*"', "5", "null")
_SLACK_ENUMS = ('"1"', "true", "1.0", "1.5", "-1", "2147483648", '""', '"NO_SUCH_VALUE"', "null", "[]")
_SLACK_TIMES = (
    *('"2026-01-31T12:00:00Z"', '"2026-01-31T12:00:00+01:00"', '"2026-01-31T12:00:00.123456789Z"', '"2026-01-31"', "5"),
    *('"2026-01-31T12:00:00,5Z"', '"2026-01-31 12:00:00Z"', '"2026-02-30T12:00:00Z"', '"0000-01-01T00:00:00Z"', "null"),
    *('"2026-01-31t12:00:00z"', '"2026-01-31T12:00:60Z"', '"10000-01-01T00:00:00Z"', '"2026-1-31T12:00:00Z"', '""'),
)  # fmt: skip
_SLACK_DURATIONS = (
    '"1.5s"',
    '".5s"',
    '"1,5s"',
    '"1s "',
    '"-1s"',
    '"+1s"',
    '"1"',
    "1",
    '"315576000001s"',
    '"1e3s"',
    '""',
    "null",
)
_SLACK_MASKS = (
    *('"displayName"', '"display_name"', '" displayName"', '"displayName, title"', '"title,title"', '"*"', '""', '"a..b"', '","'),
    *('"noSuchField"', '"Title"', "5", "null", "[]", '{"paths":["title"]}', '"basePrice.minorUnits"'),
)  # fmt: skip
_SPECIAL: Mapping[str, Sequence[str]] = {
    "google.protobuf.Timestamp": _SLACK_TIMES,
    "google.protobuf.Duration": _SLACK_DURATIONS,
    "google.protobuf.FieldMask": _SLACK_MASKS,
}
_JUNK = ("null", "[]", "{}", '""', "5", "true", '[{"a":1}]', '{"a":{"b":{}}}', "[[]]", "nul", "")


def document(message: Descriptor, values: Mapping[str, Sequence[str]], *, slack: bool) -> Texts:
    """Objects for a message. With ``slack`` something in most of them is not as the JSON mapping has it.

    Args:
        message: Its type.
        values: Texts to choose from for string fields of some name.
        slack: Whether the reader's strictness is to be tried.
    """
    return _object(message, values, slack, 0)


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def query_values(field: FieldDescriptor, values: Mapping[str, Sequence[str]]) -> Texts:
    """Values of a query parameter for a field, not encoded yet."""
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        near = st.sampled_from(
            ["0", "1", "2", "100", "101", "-1", str(high), str(high + 1), str(low), str(low - 1), "05", "+5", "1_000"]
        )
        return near | st.sampled_from(["", " 5", "5 ", "5.0", "5e0", "ten", "٣", "0x5", "true", "null", "-0", "NaN"])
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.sampled_from(["true", "false", "1", "0", "True", "", "yes"])
    own = [*values.get(field.name, ())]
    chosen = st.sampled_from(own) if own else st.just("")
    return chosen | _plain_text() | st.sampled_from(["", " ", "%", "null", "a&b", "a+b", "ü", "🎬", "\x00", "x" * 300])


def _object(message: Descriptor, values: Mapping[str, Sequence[str]], slack: bool, depth: int) -> Texts:
    @st.composite
    def draw_object(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
        members = []
        for field in message.fields:
            if draw(st.integers(0, 9)) < (7 if depth == 0 else 8):
                name = field.name if slack and draw(st.integers(0, 5)) == 0 else field.json_name
                members.append(f"{text_of(name)}:{draw(_value(field, values, slack, depth))}")
        if slack:
            oddity = draw(st.integers(0, 11))
            if oddity == 0 and members:
                members.append(members[draw(st.integers(0, len(members) - 1))])
            elif oddity == 1:
                members.append(f'"noSuchField":{draw(st.sampled_from(_JUNK[:8]))}')
            elif oddity == 2:  # noqa: PLR2004
                return draw(st.sampled_from(_JUNK))  # type: ignore[no-any-return]
        members = draw(st.permutations(members))
        space = draw(st.sampled_from(["", " ", "\n\t"])) if slack else ""
        return f"{{{space}{f',{space}'.join(members)}{space}}}"

    return draw_object()


def _value(field: FieldDescriptor, values: Mapping[str, Sequence[str]], slack: bool, depth: int) -> Texts:
    one = _element(field, values, slack, depth)
    if not field.is_repeated:
        return one
    lists = st.lists(one, max_size=3).map(lambda items: f"[{','.join(items)}]")
    return lists | st.sampled_from(_JUNK) if slack else lists


def _element(field: FieldDescriptor, values: Mapping[str, Sequence[str]], slack: bool, depth: int) -> Texts:
    if field.message_type is not None:
        if field.message_type.full_name in _SPECIAL:
            texts = _SPECIAL[field.message_type.full_name]
            return st.sampled_from(texts if slack else texts[:1])
        if depth >= _DEEPEST:
            return st.just("{}")
        return _object(field.message_type, values, slack, depth + 1)
    if field.enum_type is not None:
        named = st.sampled_from([text_of(value.name) for value in field.enum_type.values])
        return named | st.sampled_from(_SLACK_ENUMS) if slack else named
    return _scalar(field, values, slack)


def _scalar(field: FieldDescriptor, values: Mapping[str, Sequence[str]], slack: bool) -> Texts:
    if field.type in _INTEGERS:
        low, high = _INTEGERS[field.type]
        good = st.integers(1, 100).map(str) | st.sampled_from([str(low), str(high), f'"{high}"', "0", "1"])
        return good | st.sampled_from([*_SLACK_NUMBERS, str(high + 1), str(low - 1)]) if slack else good
    if field.type == FieldDescriptor.TYPE_BOOL:
        good = st.sampled_from(["true", "false"])
        return good | st.sampled_from(_SLACK_BOOLEANS) if slack else good
    if field.type in {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}:
        good = st.integers(-1000, 1000).map(lambda number: str(number / 8))
        return good | st.sampled_from(_SLACK_FLOATS) if slack else good
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.sampled_from(_SLACK_BYTES if slack else _SLACK_BYTES[1:2])
    own = [text_of(value) for value in values.get(field.name, ())]
    good = (st.sampled_from(own) if own else _plain_text().map(text_of)) | _plain_text().map(text_of)
    return good | st.sampled_from(_SLACK_TEXTS) if slack else good


def _plain_text() -> Texts:
    # What is no letter of ASCII finds lengths that are counted in bytes.
    return st.text(st.sampled_from("abcXYZ 019-_.é中🎬"), max_size=12)
