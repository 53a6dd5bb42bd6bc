"""The price of a unit, and the arithmetic under it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agora.pricing.domain.lines import Tier, discount_basis_points, scarcity_basis_points, unit_price
from agora.pricing.domain.money import divide_half_even, split
from agora.pricing.domain.standing import tier_for

amounts = st.integers(0, 100_000_000)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_division_gives_the_nearest_integer_and_of_two_the_even_one(numerator: int, denominator: int) -> None:
    # Python rounds fractions half to even.
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@pytest.mark.parametrize(("numerator", "quotient"), [(5, 2), (15, 8), (25, 12), (-5, -2), (-15, -8), (26, 13)])
def test_halves_go_to_the_even_side(numerator: int, quotient: int) -> None:
    assert divide_half_even(numerator, 2) == quotient


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=8).filter(any), st.fractions(0, 1))
def test_a_split_loses_nothing_and_gives_no_part_more_than_its_weight(weights: list[int], share: Fraction) -> None:
    amount = int(sum(weights) * share)

    parts = split(amount, tuple(weights))

    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


@pytest.mark.parametrize(
    ("available", "scarcity"), [(0, 15_000), (9, 15_000), (10, 12_000), (49, 12_000), (50, 10_000), (2**31 - 1, 10_000)]
)
def test_scarce_products_cost_more(available: int, scarcity: int) -> None:
    assert scarcity_basis_points(available) == scarcity


@pytest.mark.parametrize(
    ("base", "available", "demand", "tier", "price"),
    [
        (2000, 100, 10_000, Tier.BASIC, 1900),
        (2000, 100, 10_000, Tier.SILVER, 1800),
        (2000, 100, 10_000, Tier.GOLD, 1700),
        (1999, 9, 12_345, Tier.GOLD, 3146),  # 1999 x 1.2345 x 1.5 x 0.85 = 3146.40... once; 3147 if rounded in between
        (10, 100, 10_000, Tier.BASIC, 10),  # 9.5 to the even 10
        (30, 100, 10_000, Tier.BASIC, 28),  # 28.5 to the even 28
        (0, 0, 50_000, Tier.BASIC, 0),
    ],
)
def test_a_price_is_rounded_once(base: int, available: int, demand: int, tier: Tier, price: int) -> None:
    assert unit_price(base, available, demand, tier) == price


@given(amounts, st.integers(0, 200), st.integers(1000, 50_000))
def test_a_higher_tier_never_pays_more(base: int, available: int, demand: int) -> None:
    basic, silver, gold = (unit_price(base, available, demand, tier) for tier in Tier)
    assert basic >= silver >= gold >= 0


@pytest.mark.parametrize(
    ("base", "final", "discount"), [(2000, 1700, 1500), (2000, 3000, -5000), (0, 0, 0), (3, 2, 3333)]
)
def test_a_discount_is_negative_where_the_price_rose(base: int, final: int, discount: int) -> None:
    assert discount_basis_points(base, final) == discount


@pytest.mark.parametrize(
    ("spent", "tier"),
    [(0, Tier.BASIC), (19_999, Tier.BASIC), (20_000, Tier.SILVER), (99_999, Tier.SILVER), (100_000, Tier.GOLD)],
)
def test_spending_earns_a_tier(spent: int, tier: Tier) -> None:
    assert tier_for(spent) == tier
