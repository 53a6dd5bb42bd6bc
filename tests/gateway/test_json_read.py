"""What the JSON mapping's specification allows, and what Python's own parser would allow beyond it."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricorn.gateway.transcode.json_read import message_reader
from tricorn.gateway.transcode.json_text import Malformed, parse_json


@pytest.fixture
def read(toy: Any) -> Any:
    """Reads JSON text into an Everything."""

    def reading(text: str | bytes) -> Any:
        raw = text.encode() if isinstance(text, str) else text
        return toy.Everything(**message_reader(toy.Everything.DESCRIPTOR).read(parse_json(raw)))

    return reading


ACCEPTED = [
    ('{"int32Value": 5}', "int32_value", 5),
    ('{"int32_value": 5}', "int32_value", 5),
    ('{"int32Value": "5"}', "int32_value", 5),
    ('{"int32Value": 1.0}', "int32_value", 1),
    ('{"int32Value": 1e2}', "int32_value", 100),
    ('{"int32Value": "1e2"}', "int32_value", 100),
    ('{"int32Value": 100000e-3}', "int32_value", 100),
    ('{"int32Value": -0}', "int32_value", 0),
    ('{"int32Value": 0.0}', "int32_value", 0),
    ('{"int32Value": -2147483648}', "int32_value", -(2**31)),
    ('{"int64Value": 9007199254740993.0}', "int64_value", 9007199254740993),
    ('{"int64Value": "9223372036854775807"}', "int64_value", 2**63 - 1),
    ('{"uint64Value": 18446744073709551615}', "uint64_value", 2**64 - 1),
    ('{"doubleValue": "Infinity"}', "double_value", math.inf),
    ('{"doubleValue": "1.5"}', "double_value", 1.5),
    ('{"doubleValue": 1}', "double_value", 1.0),
    ('{"floatValue": 3.4028235e38}', "float_value", 3.4028234663852886e38),
    ('{"boolValue": true}', "bool_value", True),
    ('{"stringValue": "\\ud83d\\ude00"}', "string_value", "😀"),
    ('{"bytesValue": "-_8"}', "bytes_value", b"\xfb\xff"),
    ('{"bytesValue": "+/8="}', "bytes_value", b"\xfb\xff"),
    ('{"genre": "GENRE_POETRY"}', "genre", 2),
    ('{"genre": 2}', "genre", 2),
    ('{"genre": 77}', "genre", 77),
    ('{"stringValue": null}', "string_value", ""),
    ('{"numbers": []}', "numbers", []),
    ('{"numbers": null}', "numbers", []),
    ('{"names": {"5": "x"}}', "names", {5: "x"}),
    ('{"@odd": "x"}', "custom", "x"),
    ('{"mask": "a,bC.dE"}', "mask.paths", ["a", "b_c.d_e"]),
    ('{"mask": ""}', "mask.paths", []),
    ('{"at": "2026-01-31T12:00:00.5+01:30"}', "at.seconds", 1769855400),
    ('{"at": "2026-01-31T12:00:00.5Z"}', "at.nanos", 500_000_000),
    ('{"at": "0001-01-01T00:00:00Z"}', "at.seconds", -62135596800),
    ('{"at": "9999-12-31T23:59:59.999999999Z"}', "at.nanos", 999_999_999),
    ('{"during": "-1.5s"}', "during.nanos", -500_000_000),
    ('{"during": "0s"}', "during.seconds", 0),
    ('{"wrappedInt64": "5"}', "wrapped_int64.value", 5),
    ('{"wrappedBool": false}', "wrapped_bool.value", False),
    ('{"value": 1.5}', "value.number_value", 1.5),
    ('{"value": "x"}', "value.string_value", "x"),
    ('{"struct": {"a": [1, {"b": null}]}}', "struct", {"a": [1, {"b": None}]}),
    ('{"left": "x", "right": null}', "left", "x"),
    (' \t\r\n{ "int32Value" : 5 } ', "int32_value", 5),
]


@pytest.mark.parametrize(("text", "path", "expected"), ACCEPTED)
def test_what_the_specification_allows_is_read(read: Any, text: str, path: str, expected: Any) -> None:
    value = read(text)
    for name in path.split("."):
        value = getattr(value, name)

    if path == "struct":
        assert value["a"][0] == 1
        assert value["a"][1]["b"] is None
    else:
        assert (
            dict(value) if isinstance(expected, dict) else list(value) if isinstance(expected, list) else value
        ) == expected


REFUSED = [
    # numbers that are none
    *[f'{{"int32Value": {each}}}' for each in ('"05"', '"+5"', '"1_000"', '"٣"', '" 5"', '"5 "', '""', "true", "[]", "{}")],
    *[f'{{"int32Value": {each}}}' for each in ("1.5", "2147483648", "-2147483649", '"0x5"', "05", "+5", "1.", ".5", "1e999999999")],
    *[f'{{"int32Value": {each}}}' for each in ("NaN", "Infinity", '"NaN"', "1" * 5000, '"5.5"', '"1e"')],
    '{"uint32Value": -1}',
    '{"uint64Value": 18446744073709551616}',
    '{"int64Value": 9223372036854775807.5}',
    *[f'{{"doubleValue": {each}}}' for each in ("true", '".5"', '"1."', "1e400", '"nan"', '"+1"', '"-inf"', "NaN", "1" * 400)],
    '{"floatValue": 3.5e38}',
    # other scalars
    *[f'{{"boolValue": {each}}}' for each in ('"true"', "1", "0", '""')],
    *[f'{{"stringValue": {each}}}' for each in ("1", "true", "[]", '"\\u0000"', '"\\ud800"', '"\x01"', '"\\x"')],
    *[f'{{"bytesValue": {each}}}' for each in ('"a"', '"ab=="x', '"a b="', '"a*b="', '"ab="', '"abc=="', '"+_8="', "5", '"Zg=\\n="')],
    *[f'{{"genre": {each}}}' for each in ('"1"', "true", '"GENRE_NONE"', '"genre_poetry"', "1.5", "2147483648", '""')],
    # times
    *[
        f'{{"at": "{each}"}}'
        for each in (
            "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "2026-01-31t12:00:00Z", "2026-01-31T12:00:00z",
            "2026-1-31T12:00:00Z", "2026-02-30T12:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:60Z",
            "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00,5Z", "2026-01-31T12:00:00.0000000001Z", "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00+24:00",
            "٢٠٢٦-01-31T12:00:00Z", "", "now",
        )
    ],
    '{"at": 5}',
    *[f'{{"during": "{each}"}}' for each in ("1", "s", ".5s", "1.s", "+1s", "01s", "1 s", "1S", "315576000001s", "1.0000000001s", "")],
    *[f'{{"mask": {each}}}' for each in ('"a_b"', '"a, b"', '" a"', '"a,,b"', '","', '"a."', '"A"', "[]", '"a.*"')],
    # shapes
    "[]", "5", '"x"', "null", "", "{", '{"int32Value": 5,}', '{"int32Value": 5} x', "{'int32Value': 5}", "// x\n{}",
    '{"nothingLikeIt": 1}', '{"int32value": 5}', '{"inner": []}', '{"inner": "x"}', '{"numbers": 5}', '{"numbers": [null]}',
    '{"numbers": {"0": 1}}', '{"names": []}', '{"names": {"x": "y"}}', '{"names": {"05": "y"}}', '{"counts": {"a": null}}',
    '{"chapters": {"True": {}}}', '{"list": [[]]}',
    # twice
    '{"int32Value": 5, "int32Value": 5}', '{"int32Value": 5, "int32_value": 5}', '{"int32Value": null, "int32_value": 5}',
    '{"names": {"5": "x", "5": "y"}}', '{"names": {"5": "x", "5.0": "y"}}', '{"struct": {"a": 1, "a": 2}}',
    '{"inner": {"boolValue": true, "boolValue": true}}', '{"left": "x", "right": 5}', '{"left": "x", "nothing": null}',
    # well-known types
    '{"struct": []}', '{"struct": {"a": NaN}}', '{"values": {}}', '{"wrappedInt64": {"value": 5}}', '{"any": {"x": 1}}',
    '{"any": {"@type": "nothing/nothing.At.All"}}', '{"any": {"@type": "type.googleapis.com/library.v1.Chapter", "pages": 1}}',
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_specification_does_not_allow_is_refused(read: Any, text: str) -> None:
    with pytest.raises(Malformed):
        read(text)


@pytest.mark.parametrize(
    "raw", [b'{"stringValue": "\xff"}', b'{"stringValue": "\xc0\x80"}', '{"a": 1}'.encode("utf-16"), b"\xef\xbb\xbf{}"]
)
def test_what_is_not_utf_8_is_refused(read: Any, raw: bytes) -> None:
    with pytest.raises(Malformed):
        read(raw)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"list": [{}, {"inner": {"numbers": [1, "x"]}}]}', "list[1].inner.numbers[1]"),
        ('{"chapters": {"true": {"page": "x"}}}', "chapters.true.page"),
        ('{"struct": {"a": [1, {"b": 1, "b": 2}]}}', "struct.a[1].b"),
        ('{"inner": {"wrong": 1}}', "inner.wrong"),
        ('{"left": "x", "middle": {}}', "middle"),
    ],
)
def test_the_refusal_names_the_json_path(read: Any, text: str, path: str) -> None:
    with pytest.raises(Malformed) as bad:
        read(text)

    assert bad.value.field() == path


def test_nesting_has_a_limit_that_brackets_in_strings_do_not_count_for(read: Any) -> None:
    deep = '{"inner": ' * 63 + "{}" + "}" * 63

    assert read(deep).HasField("inner")
    assert read(json.dumps({"stringValue": "[" * 1000 + '"{'})).string_value.startswith("[[")
    with pytest.raises(Malformed):
        read('{"inner": ' + deep + "}")
    with pytest.raises(Malformed):
        read("[" * 100_000)


def test_an_empty_message_is_there_and_an_absent_one_is_not(read: Any) -> None:
    assert read('{"inner": {}}').HasField("inner")
    assert not read('{"inner": null}').HasField("inner")
    assert read('{"maybe": ""}').HasField("maybe")
    assert read('{"nothing": null}').WhichOneof("choice") == "nothing"
    assert read('{"value": null}').value.WhichOneof("kind") == "null_value"


def test_minus_zero_keeps_its_sign_as_a_float(read: Any) -> None:
    assert math.copysign(1, read('{"doubleValue": -0}').double_value) == -1
    assert math.copysign(1, read('{"doubleValue": -0.0}').double_value) == -1


def test_any_holds_messages_and_well_known_types(read: Any, toy: Any) -> None:
    chapter = toy.Chapter()
    read('{"any": {"@type": "type.googleapis.com/library.v1.Chapter", "page": 3}}').any.Unpack(chapter)
    timed = read('{"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"}}').any

    assert chapter.page == 3
    assert timed.type_url.endswith("Duration")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["inner", "list", "names", "value", "at"]), inner)
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(value=_JSON)
def test_no_json_ends_in_anything_but_a_message_or_a_refusal(toy: Any, value: Any) -> None:
    raw = json.dumps(value).encode()
    try:
        toy.Everything(**message_reader(toy.Everything.DESCRIPTOR).read(parse_json(raw)))
    except Malformed as bad:
        assert bad.message  # noqa: PT017 - either outcome is right


@settings(deadline=None)
@given(raw=st.binary(max_size=60))
def test_no_bytes_end_in_anything_but_a_value_or_a_refusal(raw: bytes) -> None:
    try:
        parse_json(raw)
    except Malformed as bad:
        assert bad.message  # noqa: PT017 - either outcome is right
