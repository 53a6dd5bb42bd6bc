"""That the expected prices of baskets in the conformance cases are what the oracle says, without asking the search."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from basket_oracle import best, combinations, half_even
from google.protobuf.json_format import MessageToDict, ParseDict

from agora.pricing.domain.promotions import Line
from agora.pricing.generated import Basket
from agora.pricing.server.convert import promotion_from
from agora_proto.pricing.v1 import pricing_pb2 as pb

CASES = Path(__file__).parents[2] / "conformance" / "pricing"
TIER_SHARES = {pb.TIER_BASIC: 95, pb.TIER_SILVER: 90, pb.TIER_GOLD: 85}


def priced_baskets() -> list[Any]:
    """The cases whose answer is exact; where the budget ended there is no oracle but the definition of steps."""
    found = []
    for path in sorted(CASES.glob("price_basket*.json")):
        cases = json.loads(path.read_text())["cases"]
        found += [pytest.param(case, id=case["name"]) for case in cases if case.get("response", {}).get("exact")]
    return found


def scarcity(available: int) -> Fraction:
    return Fraction(3, 2) if available < 10 else Fraction(6, 5) if available < 50 else Fraction(1)


def as_basket(request: pb.PriceBasketRequest) -> Basket:
    lines = []
    for line in request.lines:
        product = line.product
        factors = Fraction(product.demand_basis_points, 10_000) * scarcity(product.available)
        unit = half_even(product.base_minor_units * factors * Fraction(TIER_SHARES[request.tier], 100))
        lines.append(Line(product.product_id, line.quantity, unit, frozenset(line.category_ids)))
    promotions = tuple(promotion_from(promotion) for promotion in request.promotions)
    return Basket(tuple(lines), promotions, frozenset(request.coupon_codes), 0)


@pytest.mark.parametrize("case", priced_baskets())
def test_the_expected_price_is_that_of_the_oracle(case: dict[str, Any]) -> None:
    basket = as_basket(ParseDict(case["request"], pb.PriceBasketRequest()))
    expected = MessageToDict(ParseDict(case["response"], pb.PriceBasketResponse()))

    cheapest = best(list(combinations(basket)))

    subtotal = sum(line.subtotal for line in basket.lines)
    assert [(line["productId"], int(line["unitMinorUnits"])) for line in expected["lines"]] == [
        (line.product_id, line.unit) for line in basket.lines
    ]
    assert {line["productId"]: int(line.get("discountMinorUnits", 0)) for line in expected["lines"]} == cheapest.by_line
    assert {
        each["promotionId"]: (each["applications"], int(each["discountMinorUnits"]))
        for each in expected.get("applied", [])
    } == cheapest.applied
    assert int(expected.get("totalMinorUnits", 0)) == subtotal - cheapest.discount
    assert int(expected.get("subtotalMinorUnits", 0)) == subtotal
