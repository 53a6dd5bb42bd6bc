"""The rivals keep Agora's rules where they have them, and their statements mean the same to both drivers."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from rivals import rules
from rivals.statements import Numbered

from agora.pricing.domain import demand, lines, standing

counts = st.integers(0, 100_000)


@given(base=st.integers(1, 10_000_00), available=counts, recent=counts, more=counts, spent=st.integers(0, 2000_00))
def test_a_rival_asks_the_price_that_agora_asks(base: int, available: int, recent: int, more: int, spent: int) -> None:
    usual = recent + more
    product = {"base_price": base, "available": available, "recent": recent, "usual": usual, "spent": spent}

    tier = standing.tier_for(spent)
    wanted = lines.unit_price(base, available, demand.demand_basis_points(recent, usual), tier)

    assert rules.unit_price(product) == wanted
    assert rules.tier_of(spent) == f"TIER_{tier.name}"


@given(
    stock=st.lists(st.integers(0, 20), min_size=1, max_size=4),
    quantity=st.integers(1, 60),
)
def test_stock_is_taken_in_full_or_not_at_all(stock: list[int], quantity: int) -> None:
    line = rules.Line("film", "A Film", quantity, 100)
    rows = [{"product_id": "film", "warehouse_id": str(n), "available": each} for n, each in enumerate(stock)]

    if sum(stock) < quantity:
        with pytest.raises(rules.RefusedError, match="not enough"):
            rules.take([line], rows)
        return
    taken = rules.take([line], rows)

    assert sum(each.quantity for each in taken) == quantity
    assert all(0 < each.quantity <= stock[int(each.warehouse_id)] for each in taken)
    assert rules.taken_from_json(rules.taken_to_json(taken)) == taken


def test_a_statement_is_numbered_by_its_names() -> None:
    statement = Numbered("SELECT a::text WHERE b = :second AND c = :first AND d = :second")

    assert statement.text == "SELECT a::text WHERE b = $1 AND c = $2 AND d = $1"
    assert statement.values({"first": 1, "second": 2}) == [2, 1]
