"""The search against every combination there is."""

from collections import Counter
from collections.abc import Callable

import pytest
from basket_oracle import best, combinations, greedy, size

from agora.pricing.domain.basket import price_basket
from agora.pricing.generated import basket

SEEDS = range(3_000)
MOST_COMBINATIONS = 50_000


@pytest.mark.slow
def test_the_search_finds_what_looking_at_every_combination_finds(
    record_property: Callable[[str, object], None],
) -> None:
    seen = Counter[str]()
    for seed in SEEDS:
        each = basket(seed)
        if size(each) > MOST_COMBINATIONS:
            seen["left out as too large"] += 1
            continue
        found = list(combinations(each))
        expected = best(found)

        price = price_basket(each.lines, each.promotions, each.coupon_codes, each.step_budget)

        seen["baskets"] += 1
        seen["defeat greedy"] += greedy(found).discount < expected.discount
        seen["tie"] += sum(other.discount == expected.discount for other in found) > 1
        seen["exhaust the budget"] += not price.exact
        seen[f"{'budgeted' if each.step_budget else 'free'}: {'exact' if price.exact else 'cut off'}"] += 1
        if price.exact:
            assert price.discount == expected.discount, seed
            assert dict(zip((line.product_id for line in each.lines), price.line_discounts, strict=True)) == (
                expected.by_line
            ), seed
            assert {key: (value.applications, value.discount) for key, value in price.applied.items()} == (
                expected.applied
            ), seed
        else:
            assert price.steps <= each.step_budget
            assert {key: (value.applications, value.discount) for key, value in price.applied.items()} in (
                [other.applied for other in found]
            ), seed
    record_property("small random baskets", dict(sorted(seen.items())))
    assert seen["baskets"] >= 2_000
    assert seen["defeat greedy"] >= 0.30 * seen["baskets"]
    assert seen["tie"] >= 0.05 * seen["baskets"]
    assert seen["exhaust the budget"] >= 0.02 * seen["baskets"]
