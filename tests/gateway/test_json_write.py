"""The fast writer says what protobuf's own says."""

import json
import math
from typing import Any

import pytest
from google.protobuf import any_pb2, duration_pb2, field_mask_pb2, json_format, struct_pb2, timestamp_pb2, wrappers_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tricorn.gateway.transcode.json_read import message_reader
from tricorn.gateway.transcode.json_text import parse_json
from tricorn.gateway.transcode.json_write import to_json

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_INT32 = st.integers(-(2**31), 2**31 - 1)
_INT64 = st.integers(-(2**63), 2**63 - 1)
_MOMENT = st.builds(
    timestamp_pb2.Timestamp,
    seconds=st.integers(-62135596800, 253402300799),
    nanos=st.sampled_from([0, 1, 1000, 500_000_000, 123_456_789, 999_999_999]),
)
_SPAN = st.builds(
    lambda sign, seconds, nanos: duration_pb2.Duration(seconds=sign * seconds, nanos=sign * nanos),
    st.sampled_from([1, -1]),
    st.integers(0, 315_576_000_000 - 1),
    st.sampled_from([0, 1, 1000, 500_000_000]),
)
_STRUCT = st.dictionaries(
    _TEXT,
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)


@st.composite
def everything(draw: Any, toy: Any, depth: int = 0) -> Any:
    """An Everything with any of its fields."""
    message = toy.Everything()
    plain = {
        "int32_value": _INT32, "sint32_value": _INT32, "int64_value": _INT64, "sint64_value": _INT64,
        "uint32_value": st.integers(0, 2**32 - 1), "fixed32_value": st.integers(0, 2**32 - 1),
        "uint64_value": st.integers(0, 2**64 - 1), "fixed64_value": st.integers(0, 2**64 - 1),
        "float_value": st.floats(width=32), "double_value": st.floats(), "bool_value": st.booleans(), "string_value": _TEXT,
        "bytes_value": st.binary(max_size=9), "genre": st.sampled_from([0, 1, 2, 77, -1]), "maybe": _TEXT, "custom": _TEXT,
        "class": _TEXT,
    }  # fmt: skip
    for name in draw(st.sets(st.sampled_from(sorted(plain)))):
        setattr(message, name, draw(plain[name]))
    message.numbers.extend(draw(st.lists(_INT32, max_size=3)))
    message.genres.extend(draw(st.lists(st.sampled_from([0, 1, 5]), max_size=3)))
    message.times.extend(draw(st.lists(_MOMENT, max_size=2)))
    message.counts.update(draw(st.dictionaries(_TEXT, _INT64, max_size=2)))
    message.names.update(draw(st.dictionaries(_INT32, _TEXT, max_size=2)))
    message.genre_by_name.update(draw(st.dictionaries(_TEXT, st.sampled_from([0, 1, 9]), max_size=2)))
    for key in draw(st.sets(st.booleans())):
        message.chapters[key].page = draw(_INT32)
    parts: dict[str, Any] = {
        "at": _MOMENT,
        "during": _SPAN,
        "mask": st.just(field_mask_pb2.FieldMask(paths=["a", "b_c.d"])),
        "wrapped_int64": st.builds(wrappers_pb2.Int64Value, value=_INT64),
        "wrapped_string": st.builds(wrappers_pb2.StringValue, value=_TEXT),
        "wrapped_bytes": st.builds(wrappers_pb2.BytesValue, value=st.binary(max_size=5)),
        "wrapped_double": st.builds(wrappers_pb2.DoubleValue, value=st.floats()),
        "wrapped_bool": st.builds(wrappers_pb2.BoolValue, value=st.booleans()),
        "middle": st.builds(toy.Chapter, page=_INT32),
        "value": st.builds(struct_pb2.Value, number_value=st.floats(allow_nan=False, allow_infinity=False)),
    }
    for name in draw(st.sets(st.sampled_from(sorted(parts)))):
        getattr(message, name).CopyFrom(draw(parts[name]))
    if draw(st.booleans()):
        message.struct.update(draw(_STRUCT))
        message.values.extend([1, "a", None, True])
    if draw(st.booleans()):
        packed = any_pb2.Any()
        packed.Pack(draw(st.sampled_from([toy.Chapter(page=1), duration_pb2.Duration(seconds=3)])))
        message.any.CopyFrom(packed)
    if draw(st.booleans()):
        message.right = draw(_INT32)
    if depth < 2 and draw(st.booleans()):
        message.inner.CopyFrom(draw(everything(toy, depth + 1)))
        message.list.append(draw(everything(toy, depth + 1)))
    return message


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_writer_equals_json_format_and_is_read_back(toy: Any, data: Any) -> None:
    message = data.draw(everything(toy))

    written = json.loads(to_json(message))

    assert written == json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    again = toy.Everything(**message_reader(toy.Everything.DESCRIPTOR).read(parse_json(to_json(message))))
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True) or has_nan(
        written
    )


def has_nan(written: Any) -> bool:
    """A NaN may come back with other bits."""
    return '"NaN"' in json.dumps(written)


def test_numbers_that_json_lacks_are_words(toy: Any) -> None:
    message = toy.Everything(double_value=math.nan, float_value=-math.inf)

    written = json.loads(to_json(message))

    assert (written["doubleValue"], written["floatValue"]) == ("NaN", "-Infinity")


def test_a_value_that_json_cannot_carry_is_an_error(toy: Any) -> None:
    message = toy.Everything()
    message.value.number_value = math.nan

    with pytest.raises(ValueError, match="NaN"):
        to_json(message)
