"""The search for an order in which a history can have happened, on a model of one counter of stock."""

from collections.abc import Sequence
from math import inf

import pytest

from tricorn.prove.effects.operation import Operation
from tricorn.prove.effects.serial import judge


def step(left: int, operation: Operation) -> Sequence[int]:
    """``take`` takes one if there is any and answers what is left; ``read`` answers what is there; by itself a unit comes back."""
    if not operation.method:
        return [left + 1]
    if operation.method == "read":
        return [left] if operation.answer in {left, None} else []
    if operation.reason == "NONE_LEFT":
        return [left] if left == 0 else []
    if left == 0 or operation.answer not in {left - 1, None}:
        return []
    return [left - 1]


def take(start: float, end: float, answer: int | None, caller: int = 0) -> Operation:
    return Operation(caller, "take", start, end, answer=answer)


def read(start: float, end: float, answer: int) -> Operation:
    return Operation(9, "read", start, end, answer=answer)


def refused(start: float, end: float) -> Operation:
    return Operation(8, "take", start, end, reason="NONE_LEFT")


def test_calls_one_after_the_other_have_one_order() -> None:
    assert judge(2, [take(0, 1, 1), take(2, 3, 0), refused(4, 5)], step).possible is True


def test_calls_at_once_may_have_come_in_either_order() -> None:
    verdict = judge(2, [take(0, 10, 0), take(1, 9, 1)], step)

    assert verdict.possible is True


@pytest.mark.parametrize(
    ("fault", "history"),
    [
        ("lost update", [take(0, 10, 1), take(1, 9, 1)]),
        ("double reserve", [take(0, 10, 0), take(1, 9, 0)]),
        ("answer before commit", [take(0, 1, 1), read(2, 3, 2), read(4, 5, 1)]),
        ("an order that time forbids", [take(0, 1, 0), take(2, 3, 1)]),
    ],
)
def test_a_fault_has_no_order(fault: str, history: list[Operation]) -> None:
    verdict = judge(2, history, step)

    assert verdict.possible is False, fault
    assert verdict.stuck


def test_it_is_said_how_far_the_best_order_comes_and_what_cannot_follow() -> None:
    first, stale = take(0, 1, 1), read(2, 3, 2)

    verdict = judge(2, [first, stale], step)

    assert verdict.reached == (first,)
    assert verdict.stuck == (stale,)


def test_a_call_of_unknown_outcome_may_have_happened_at_any_time_since_or_never() -> None:
    unknown = take(0, inf, None)

    assert judge(2, [unknown, read(5, 6, 2)], step).possible is True
    assert judge(2, [unknown, read(5, 6, 1)], step).possible is True
    assert judge(2, [unknown, read(5, 6, 2), read(7, 8, 1)], step).possible is True
    assert judge(2, [unknown, read(5, 6, 1), read(7, 8, 2)], step).possible is False


def test_what_happens_by_itself_may_not_come_before_its_time() -> None:
    comes_back = Operation(-1, "", 5)

    assert judge(1, [take(0, 1, 0), comes_back, read(2, 3, 0), read(6, 7, 1)], step).possible is True
    assert judge(1, [take(0, 1, 0), comes_back, read(2, 3, 1)], step).possible is False


def test_a_search_that_is_given_up_decides_nothing() -> None:
    history = [take(0, 100, None, caller=number) for number in range(12)]

    assert judge(12, [*history, read(0, 100, -1)], step, most=50).possible is None
