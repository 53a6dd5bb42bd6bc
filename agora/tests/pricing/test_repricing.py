"""Elasticity and the price that brings the most revenue."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora.pricing.domain.demand import demand_basis_points
from agora.pricing.domain.repricing import History, elasticity, grid, reprice

points = st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), max_size=30)


@pytest.mark.parametrize(("exponent", "price"), [(-2, 500), (-1, 1000), (-0.5, 1500), (0, 1500), (1, 1500)])
def test_elastic_products_become_cheaper_and_inelastic_ones_dearer(exponent: float, price: int) -> None:
    history = History("film", 1000, tuple((p, round(10**9 * p**exponent)) for p in (500, 1000, 2000)))

    found = reprice(history, 5_000, 10)

    assert found.elasticity == pytest.approx(exponent, abs=1e-6)
    assert found.price == (1000 if exponent == -1 else price)


def test_a_slope_is_that_of_the_least_squares_line() -> None:
    # The normal equations, another way to the same line.
    data = [(1, 20), (3, 3), (7, 7)]
    x, y = [math.log(price) for price, _ in data], [math.log(units) for _, units in data]
    n = len(data)
    slope = (n * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)) / (
        n * sum(a * a for a in x) - sum(x) ** 2
    )

    assert elasticity(data) == pytest.approx(slope, rel=1e-12)


def test_a_day_without_a_sale_counts_as_half_a_unit() -> None:
    # From 1 unit at 100 to half a unit at 200: one halving for one doubling.
    assert elasticity([(100, 1), (200, 0)]) == pytest.approx(-1)


@pytest.mark.parametrize("history", [(), ((100, 5),), ((100, 5), (100, 9))])
def test_without_two_prices_the_price_stays(history: tuple[tuple[int, int], ...]) -> None:
    assert reprice(History("film", 1234, history), 5_000, 10).price == 1234
    assert elasticity(history) is None


@given(st.integers(1, 10**8), st.integers(0, 9000), st.integers(1, 200))
def test_a_grid_holds_the_current_price_and_stays_within_the_change(current: int, change: int, steps: int) -> None:
    prices = grid(current, change, steps)

    assert current in prices
    assert prices == sorted(set(prices))
    assert all(price >= 1 and abs(price - current) * 10_000 <= current * change for price in prices)
    assert len(prices) <= 2 * steps + 1


@given(points, st.integers(1, 10**6))
def test_the_order_of_days_does_not_matter_for_the_price(days: list[tuple[int, int]], current: int) -> None:
    forward = reprice(History("film", current, tuple(days)), 3_000, 20)
    backward = reprice(History("film", current, tuple(reversed(days))), 3_000, 20)

    # Correctly rounded sums do not depend on the order.
    assert forward == backward


@pytest.mark.parametrize(
    ("recent", "usual", "demand"),
    [
        (0, 0, 10_000),
        (1, 1, 10_732),
        (10, 40, 10_000),
        (0, 40, 8_000),
        (40, 40, 15_000),
        (5, 5, 13_333),
        (12, 40, 11_000),
    ],
)
def test_demand_is_the_recent_week_against_the_usual_one(recent: int, usual: int, demand: int) -> None:
    # 10000 x 4 x (recent + 10) / (usual + 40)
    assert demand_basis_points(recent, usual) == demand
