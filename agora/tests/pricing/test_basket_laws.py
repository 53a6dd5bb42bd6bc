"""What holds for every basket, whatever the promotions."""

import random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agora.pricing.domain.basket import DEFAULT_STEP_BUDGET, price_basket
from agora.pricing.domain.promotions import BasketPrice, Line, Promotion
from agora.pricing.generated import Basket, basket

baskets = st.integers(0, 2**32).map(lambda seed: basket(seed, most_lines=5, most_units=9, most_promotions=7))
fast = settings(max_examples=60, deadline=None)


def price(each: Basket, step_budget: int = 0) -> BasketPrice:
    return price_basket(each.lines, each.promotions, each.coupon_codes, step_budget)


@fast
@given(baskets, st.integers(0, 50))
def test_a_total_is_never_below_nothing_nor_above_the_subtotal_even_when_cut_off(each: Basket, budget: int) -> None:
    found = price(each, budget)

    assert 0 <= found.total <= found.subtotal == sum(line.subtotal for line in each.lines)
    assert all(0 <= off <= line.subtotal for off, line in zip(found.line_discounts, each.lines, strict=True))
    assert found.discount == sum(found.line_discounts) == sum(used.discount for used in found.applied.values())
    assert all(used.discount > 0 and used.applications > 0 for used in found.applied.values())
    assert found.steps <= (budget or DEFAULT_STEP_BUDGET)


@fast
@given(baskets)
def test_another_promotion_never_makes_a_basket_dearer(each: Basket) -> None:
    whole = price(each)
    assume(whole.exact)
    for left_out in each.promotions:
        fewer = [promotion for promotion in each.promotions if promotion != left_out]
        assert whole.total <= price_basket(each.lines, fewer, each.coupon_codes).total


@fast
@given(baskets, st.randoms(use_true_random=False))
def test_the_order_of_lines_and_promotions_does_not_matter(each: Basket, shuffle: random.Random) -> None:
    lines, promotions = list(each.lines), list(each.promotions)
    shuffle.shuffle(lines)
    shuffle.shuffle(promotions)

    found, again = price(each), price_basket(lines, promotions, each.coupon_codes)

    assert (found.applied, found.exact, found.steps) == (again.applied, again.exact, again.steps)
    assert _by_product(each.lines, found) == _by_product(lines, again)


@fast
@given(baskets)
def test_what_was_not_applied_could_as_well_not_have_been_offered(each: Basket) -> None:
    """The choice among equals does not hang on promotions that are not part of it."""
    found = price(each)
    assume(found.exact)
    applied = [promotion for promotion in each.promotions if promotion.promotion_id in found.applied]

    again = price_basket(each.lines, applied, each.coupon_codes)

    assert again.total == found.total


@fast
@given(baskets, st.integers(1, 200))
def test_a_larger_budget_never_finds_less(each: Basket, budget: int) -> None:
    small, large, whole = price(each, budget), price(each, 2 * budget), price(each)

    assert small.discount <= large.discount <= whole.discount
    assert not small.exact or (small.steps, small.discount) == (whole.steps, whole.discount)
    assert small.steps <= budget


@fast
@given(baskets)
def test_a_promotion_behind_a_coupon_takes_part_only_with_its_code(each: Basket) -> None:
    without = price_basket(each.lines, each.promotions, ())

    assert without.applied.keys() <= {each.promotion_id for each in each.promotions if not each.coupon_code}
    assert without.total >= price(each).total


def _by_product(lines: list[Line] | tuple[Line, ...], found: BasketPrice) -> dict[str, int]:
    return dict(zip((line.product_id for line in lines), found.line_discounts, strict=True))


def test_a_basket_without_promotions_costs_its_subtotal() -> None:
    found = price_basket([Line("film", 3, 500)], list[Promotion]())

    assert (found.total, found.exact, found.steps, found.applied) == (1500, True, 0, {})
