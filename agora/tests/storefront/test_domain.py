"""Percentages."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agora.storefront.domain import discount_percent


@pytest.mark.parametrize(
    ("base", "final", "percent"),
    [
        (1000, 950, 5),
        (1000, 1500, -50),
        (1000, 1000, 0),
        (200, 199, 0),  # 0.5 to the even 0
        (200, 197, 2),  # 1.5 to the even 2
        (200, 201, 0),  # -0.5 to the even 0
        (200, 203, -2),  # -1.5 to the even -2
        (250000, 218749, 13),  # 12.5004; by way of basis points it would be 12
    ],
)
def test_a_discount_is_rounded_once_and_half_to_even(base: int, final: int, percent: int) -> None:
    assert discount_percent(base, final) == percent


@given(base=st.integers(1, 10**8), final=st.integers(0, 10**9))
@example(base=8, final=7)
def test_a_discount_is_what_exact_fractions_round_to(base: int, final: int) -> None:
    assert discount_percent(base, final) == round(Fraction(100 * (base - final), base))
