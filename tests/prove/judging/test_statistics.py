"""The bound that the closing statement gives."""

from fractions import Fraction
from math import comb

import pytest

from tricorn.prove.statistics import upper_bound


@pytest.mark.parametrize(
    ("compared", "bound"), [(1, 0.95), (59, 0.049510), (3_000, 0.00099807), (30_000, 0.0000998527)]
)
def test_with_none_different_it_is_the_root_of_what_is_left(compared: int, bound: float) -> None:
    assert upper_bound(0, compared) == pytest.approx(bound, rel=1e-4)
    assert upper_bound(0, compared) == pytest.approx(1 - 0.05 ** (1 / compared), rel=1e-9)


@pytest.mark.parametrize(("different", "compared"), [(1, 10), (3, 40), (7, 100), (2, 150)])
def test_so_few_differences_come_about_with_the_probability_that_is_left(different: int, compared: int) -> None:
    share = Fraction(upper_bound(different, compared))

    probability = sum(
        comb(compared, count) * share**count * (1 - share) ** (compared - count) for count in range(different + 1)
    )

    assert float(probability) == pytest.approx(0.05, rel=1e-6)


def test_the_tabled_value_for_one_of_ten_is_met() -> None:
    assert upper_bound(1, 10) == pytest.approx(0.3942, abs=5e-5)


def test_all_different_leaves_nothing_to_say() -> None:
    assert upper_bound(4, 4) == 1.0
    assert upper_bound(0, 0) == 1.0


def test_more_cannot_differ_than_were_compared() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        upper_bound(5, 4)
