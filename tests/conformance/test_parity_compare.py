"""What counts as a difference between two gateways' answers; each is planted once."""

import gzip
import json
from typing import Any

import pytest

from tricorn.conformance.parity import Answer, Leniency, differences

PROBLEM = {"content-type": ("application/problem+json",), "x-trace-id": ("t1",)}


def answer(status: int = 200, body: Any = None, **headers: str) -> Answer:
    said = {name.replace("_", "-"): (value,) for name, value in {"content_type": "application/json", **headers}.items()}
    return Answer(status, said, body if isinstance(body, bytes) else json.dumps(body).encode())


def problem(trace: str, header: str, **members: Any) -> Answer:
    document = {"code": "NOT_FOUND", "traceId": trace, **members}
    return Answer(404, {**PROBLEM, "x-trace-id": (header,)}, json.dumps(document).encode())


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (
            answer(body={"a": 1, "b": [1.5]}),
            Answer(200, {"content-type": ("application/json",)}, b' {"b":[1.5],\n"a":1}'),
        ),
        (answer(vary="Accept-Encoding, Authorization"), answer(vary="authorization,accept-encoding")),
        (answer(content_type="application/json;charset=utf-8"), answer(content_type="application/json; charset=UTF-8")),
        (answer(x_trace_id="1", x_request_id="1"), answer(x_trace_id="2", x_request_id="2")),
        (
            answer(date="then", content_length="5", server_timing="total;dur=1"),
            answer(date="now", server_timing="total;dur=2"),
        ),
        (problem("t1", "t1"), problem("t2", "t2")),
    ],
)
def test_what_no_client_can_rely_on_is_no_difference(left: Answer, right: Answer) -> None:
    assert differences([left], [right]) == []


@pytest.mark.parametrize(
    ("left", "right", "found"),
    [
        (answer(200), answer(201), "status: 200 is 201"),
        (answer(etag='"1"'), answer(), "header etag: '\"1\"' is None"),
        (answer(), answer(x_powered_by="x"), "header x-powered-by: None is 'x'"),
        (answer(x_trace_id="1"), answer(), "header x-trace-id: 'there' is None"),
        (
            answer(x_request_id="mine", x_trace_id="1"),
            answer(x_request_id="1", x_trace_id="1"),
            "header x-request-id: 'mine' is '1'",
        ),
        (answer(connection="close"), answer(), "header connection: ['close'] is None"),
        (answer(body={"a": 1}), answer(body={"a": 2}), "a: 1 is 2"),
        (answer(body={"a": 1}), answer(body={"a": "1"}), "a: 1 is '1'"),
        (answer(body={"a": 1}), answer(body={"a": True}), "a: 1 is True"),
        (answer(body={"a": [{"b": 1}]}), answer(body={"a": [{}]}), "a[0].b: is missing"),
        (answer(body={}), answer(body={"a": None}), "a: is only the candidate’s"),
        (answer(body=[1]), answer(body=[1, 2]), "list: 1 entries are 2"),
        (answer(body=[1, 2]), answer(body=[2, 1]), "[0]: 1 is 2"),
        (answer(body={"a": 1}), answer(body=b""), "body: {'a': 1} is b''"),
        (problem("t1", "t1"), problem("t2", "t3"), "traceId: t2 is not the header's t3"),
        (problem("t1", "t1", detail="a"), problem("t1", "t1", detail="b"), "detail: 'a' is 'b'"),
        (
            answer(body=b"x", content_type="text/plain"),
            answer(body=b"y", content_type="text/plain"),
            "body: b'x' is b'y'",
        ),
    ],
)
def test_what_a_client_can_see_is_a_difference(left: Answer, right: Answer, found: str) -> None:
    assert differences([left], [right])[0] == found


def test_an_answer_too_many_or_none_is_a_difference() -> None:
    assert differences([answer()], []) == ["gave 1 answers (200), the candidate gave no answer"]
    assert differences([answer()], [answer(), answer(404)]) == [
        "gave 1 answers (200), the candidate gave 2 answers (200, 404)"
    ]


def test_an_answer_that_was_cut_off_is_a_difference() -> None:
    cut = Answer(200, {"content-type": ("application/json",)}, b"null", cut=True)

    assert differences([answer()], [cut]) == ["cut off: False is True"]


def test_a_packed_answer_is_compared_by_what_is_in_it() -> None:
    left = answer(body=gzip.compress(b'{"a": 1}', 1), content_encoding="gzip")
    right = answer(body=gzip.compress(b'{"a":1}', 9), content_encoding="gzip")

    assert differences([left], [right]) == []
    assert differences([left], [answer(body={"a": 1})]) == ["header content-encoding: 'gzip' is None"]


def events(*blocks: str) -> Answer:
    return Answer(200, {"content-type": ("text/event-stream",)}, "".join(f"{block}\n\n" for block in blocks).encode())


def test_events_are_compared_as_values_and_signs_of_life_are_not() -> None:
    left = events("retry: 1000", 'id: 1\nevent: message\ndata: {"a": 1}', ": still here", "event: end\ndata: {}")
    right = events("retry: 1000", 'id: 1\nevent: message\ndata: {"a":1}', "event: end\ndata: {}")

    assert differences([left], [right]) == []
    assert differences(
        [left], [events("retry: 1000", 'id: 1\nevent: message\ndata: {"a": 2}', "event: end\ndata: {}")]
    ) == ["[1].data.a: 1 is 2"]
    assert differences([left], [events("retry: 1000", 'id: 1\nevent: message\ndata: {"a": 1}')]) == [
        "list: 3 entries are 2"
    ]


def test_what_a_request_lets_differ_may_differ_and_must_be_there() -> None:
    lenient = Leniency(frozenset({"createTime"}), frozenset({"etag"}))
    left = answer(body={"createTime": "1", "a": 1}, etag='"1"')

    assert differences([left], [answer(body={"createTime": "2", "a": 1}, etag='"2"')], lenient) == []
    assert differences([left], [answer(body={"a": 1}, etag='"1"')], lenient) == ["createTime: is missing"]
    assert differences([left], [answer(body=b"x", etag='"1"')], Leniency(body=True)) == []
