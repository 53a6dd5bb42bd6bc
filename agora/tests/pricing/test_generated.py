"""The requests that `tricorn verify` gets from the application."""

import random
from collections import Counter

import pytest

from agora.pricing.generated import request
from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.contract import service_policies, validate

METHODS = [policy.name for policy in service_policies("agora.pricing.v1.PricingService")]


def drawn(method: str, count: int = 200) -> list[pb.PriceBasketRequest]:
    rng = random.Random(7)  # noqa: S311 - repeatable, not secret
    found = [request(rng, method) for _ in range(count)]
    assert all(found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("method", METHODS)
def test_every_request_keeps_to_the_rules_of_its_contract(method: str) -> None:
    for each in drawn(method):
        validate(each)


def test_baskets_have_promotions_of_every_kind_and_of_every_size() -> None:
    found = drawn("PriceBasket")

    kinds = Counter(promotion.WhichOneof("kind") for each in found for promotion in each.promotions)
    assert set(kinds) == {"percent_off", "buy_get_free", "bundle", "threshold"}
    assert max(len(each.lines) for each in found) > 10
    assert {each.tier for each in found} == {1, 2, 3}


def test_the_same_seed_gives_the_same_requests() -> None:
    assert drawn("PriceBasket", 20) == drawn("PriceBasket", 20)


def test_a_method_that_is_not_known_gets_none() -> None:
    assert request(random.Random(1), "GetPricingInputs") is None  # noqa: S311
