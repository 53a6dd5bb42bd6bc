from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora.inventory.domain import (
    Action,
    Allocation,
    Delivery,
    Line,
    Reservation,
    Shortage,
    State,
    same_delivery,
    same_reservation,
    settled,
    stocks_of,
)
from tricorn.contract import Refusal

_END = datetime(2026, 11, 21, 12, tzinfo=UTC)

# What an action may find, decided by hand: it is done already, or refused with a reason.
_EXPECTED = {
    (Action.CONFIRM, State.CONFIRMED): None,
    (Action.CONFIRM, State.RELEASED): "INVALID_STATE",
    (Action.CONFIRM, State.EXPIRED): "RESERVATION_EXPIRED",
    (Action.RELEASE, State.CONFIRMED): "INVALID_STATE",
    (Action.RELEASE, State.RELEASED): None,
    (Action.RELEASE, State.EXPIRED): None,
    (Action.PROLONG, State.CONFIRMED): "INVALID_STATE",
    (Action.PROLONG, State.RELEASED): "INVALID_STATE",
    (Action.PROLONG, State.EXPIRED): "RESERVATION_EXPIRED",
    **{(action, State.HELD): "ABORTED" for action in Action},
}


def _reservation(*allocations: tuple[str, str, int], state: State = State.HELD) -> Reservation:
    return Reservation("r", state, tuple(Allocation(*allocation) for allocation in allocations), _END)


@pytest.mark.parametrize(("action", "state"), [(action, state) for action in Action for state in State])
def test_every_action_on_every_state_is_done_already_or_refused_with_its_reason(action: Action, state: State) -> None:
    reservation = _reservation(("p", "w", 1), state=state)
    reason = _EXPECTED[action, state]
    if reason is None:
        assert settled(action, reservation) is reservation
    else:
        with pytest.raises(Refusal) as refused:
            settled(action, reservation)
        assert refused.value.reason == reason


def test_the_lines_of_a_reservation_are_what_was_asked_for_and_not_where_it_came_from() -> None:
    reservation = _reservation(("b", "w1", 2), ("b", "w2", 1), ("a", "w1", 4))
    assert reservation.lines == (Line("b", 3), Line("a", 4))


def test_a_key_stands_for_its_lines_in_any_order() -> None:
    reservation = _reservation(("a", "w", 1), ("b", "w", 2))
    assert same_reservation(reservation, [Line("b", 2), Line("a", 1)]) is reservation


@pytest.mark.parametrize(
    "other", [[Line("a", 1)], [Line("a", 1), Line("b", 3)], [Line("a", 1), Line("b", 2), Line("c", 1)]]
)
def test_a_key_does_not_stand_for_other_lines(other: list[Line]) -> None:
    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        same_reservation(_reservation(("a", "w", 1), ("b", "w", 2)), other)


def test_a_delivery_s_key_stands_for_its_lines_and_its_warehouse() -> None:
    delivery = Delivery("w", frozenset([Line("a", 1)]))
    same_delivery(delivery, [Line("a", 1)], "w")
    for wanted, warehouse_id in (([Line("a", 2)], "w"), ([Line("a", 1)], None)):
        with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
            same_delivery(delivery, wanted, warehouse_id)


def test_a_shortage_names_the_product_and_what_is_left() -> None:
    refusal = Shortage("p", 3, 2).refusal()
    assert refusal.reason == "OUT_OF_STOCK"
    assert refusal.metadata == {"product_id": "p", "requested": "3", "available": "2"}


_ROWS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), st.integers(min_value=0, max_value=1000)
)


@given(rows=_ROWS, asked=st.lists(st.sampled_from("abcde"), max_size=6))
def test_stocks_come_in_the_order_asked_for_and_sum_their_warehouses(
    rows: dict[tuple[str, str], int], asked: list[str]
) -> None:
    stocks = stocks_of(asked, [(product, place, units) for (product, place), units in sorted(rows.items())])
    assert [stock.product_id for stock in stocks] == asked
    for stock in stocks:
        assert stock.available == sum(units for (product, _), units in rows.items() if product == stock.product_id)
        assert {place.warehouse_id: place.available for place in stock.warehouses} == {
            place: units for (product, place), units in rows.items() if product == stock.product_id
        }
