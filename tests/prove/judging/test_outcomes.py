"""When two outcomes are the same."""

import math
from typing import Any

import pytest

from tricorn.contract import MethodPolicy, Refusal, Violation, method_policy
from tricorn.host import Manifest
from tricorn.prove.outcome import ANSWERED, GONE, LATE, REFUSED, UNREAD, Outcome, compare, reason_of, shown
from tricorn.wire.errors import to_status


@pytest.fixture(scope="module")
def add(quiz: Manifest) -> MethodPolicy:
    return method_policy("quiz.sums.v1.SumsService/Add")


def answered(policy: MethodPolicy, **fields: Any) -> Outcome:
    return Outcome(ANSWERED, "OK", policy.output(**fields).SerializeToString())


def refused(reason: str, text: str = "no", **said: Any) -> Outcome:
    code, status = to_status(Refusal(reason, text, **said))
    return Outcome(REFUSED, code.name, status)


def paths(policy: MethodPolicy, one: Outcome, other: Outcome) -> list[str]:
    return [difference.path for difference in compare(policy, one, other).differences]


def test_answers_are_compared_by_the_policies_of_their_fields(add: MethodPolicy) -> None:
    one = answered(add, sum=1, mean=1.0, stamp="a")

    assert paths(add, one, answered(add, sum=1, mean=1.0 + 1e-12, stamp="b")) == []
    assert paths(add, one, answered(add, sum=2, mean=1.1, stamp="a")) == ["sum", "mean"]


def test_not_a_number_is_equal_to_itself_and_zero_has_no_sign(add: MethodPolicy) -> None:
    assert paths(add, answered(add, mean=math.nan), answered(add, mean=-math.nan)) == []
    assert paths(add, answered(add, mean=0.0), answered(add, mean=-0.0)) == []
    assert paths(add, answered(add, mean=math.nan), answered(add, mean=1.0)) == ["mean"]


def test_maps_have_no_order(add: MethodPolicy) -> None:
    forward = b"".join(add.output(shares={key: 0.5}).SerializeToString() for key in ("a", "b"))
    backward = b"".join(add.output(shares={key: 0.5}).SerializeToString() for key in ("b", "a"))

    assert forward != backward
    assert paths(add, Outcome(ANSWERED, "OK", forward), Outcome(ANSWERED, "OK", backward)) == []
    assert paths(add, Outcome(ANSWERED, "OK", forward), answered(add, shares={"a": 0.5})) == ["shares['b']"]


def test_fields_of_no_contract_do_not_count_but_are_noted(add: MethodPolicy) -> None:
    one = answered(add, sum=1)
    more = one._replace(payload=one.payload + b"\xf8\xff\xff\x0f\x07")

    comparison = compare(add, one, more)

    assert comparison.differences == ()
    assert comparison.unknown_fields


def test_an_answer_that_is_no_message_differs(add: MethodPolicy) -> None:
    assert paths(add, answered(add, sum=1), Outcome(ANSWERED, "OK", b"\xff")) == ["outcome"]


def test_refusals_are_compared_by_code_reason_and_details_not_by_their_words(add: MethodPolicy) -> None:
    rule = Violation("divisor", "int32.gte", "too small")
    one = refused("INVALID_ARGUMENT", "one", violations=[rule], metadata={"a": "1"})

    comparison = compare(add, one, refused("INVALID_ARGUMENT", "other", violations=[rule], metadata={"a": "1"}))

    assert comparison.differences == ()
    assert comparison.worded_otherwise
    assert paths(add, one, refused("INVALID_ARGUMENT", violations=[rule])) == ["error.metadata"]
    other_rule = Violation("divisor", "int32.gt", "too small")
    assert paths(add, one, refused("INVALID_ARGUMENT", violations=[other_rule], metadata={"a": "1"})) == [
        "error.violations"
    ]
    assert paths(add, one, refused("NOT_FOUND", violations=[rule], metadata={"a": "1"})) == [
        "error.code",
        "error.reason",
    ]
    assert paths(add, refused("UNAVAILABLE", retry_after=1), refused("UNAVAILABLE", retry_after=2)) == [
        "error.retry_after"
    ]


def test_the_order_of_broken_rules_does_not_count(add: MethodPolicy) -> None:
    rules = [Violation("a", "int32.gte", "x"), Violation("b", "int32.gte", "y")]

    one, other = (refused("INVALID_ARGUMENT", violations=each) for each in (rules, rules[::-1]))

    assert paths(add, one, other) == []


def test_an_answer_is_no_refusal_and_nothing_is_like_silence(add: MethodPolicy) -> None:
    outcomes = [answered(add), refused("NOT_FOUND"), Outcome(LATE), Outcome(UNREAD), Outcome(GONE)]

    assert all((paths(add, one, other) == []) == (one is other) for one in outcomes for other in outcomes)


def test_outcomes_are_shown_in_a_few_words(add: MethodPolicy) -> None:
    assert shown(add, refused("NOT_FOUND", "no such sum")) == "NOT_FOUND (no such sum)"
    assert shown(add, answered(add, sum=7)) == "the answer {sum: 7}"
    assert shown(add, Outcome(LATE)) == "no answer within 1 s"
    assert reason_of(Outcome(REFUSED, "INTERNAL", b"")) == "INTERNAL"
