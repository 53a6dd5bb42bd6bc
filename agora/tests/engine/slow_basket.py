"""A basket whose search takes as many steps as it may: ten million are about a second of the engine's."""

import random

from agora_proto.pricing.v1 import pricing_pb2 as pb

LINES = 50
PROMOTIONS = 12


def slow_basket(budget: int = 10_000_000) -> pb.PriceBasketRequest:
    """Bundles and runs of one group want the same units, and all save about as much."""
    rng = random.Random(1)  # noqa: S311 - repeatable, not secret
    ids = [f"film-{number}" for number in range(LINES)]
    lines = [
        pb.BasketLine(
            product=pb.PricedProduct(
                product_id=product_id,
                base_minor_units=rng.randint(500, 1000),
                available=100,
                demand_basis_points=10_000,
            ),
            quantity=rng.randint(1, 20),
        )
        for product_id in ids
    ]
    return pb.PriceBasketRequest(
        tier=pb.TIER_BASIC,
        lines=lines,
        promotions=[promotion(rng, number, ids) for number in range(PROMOTIONS)],
        step_budget=budget,
    )


def promotion(rng: random.Random, number: int, ids: list[str]) -> pb.Promotion:
    made = pb.Promotion(promotion_id=f"promotion-{number}", exclusivity_group="one")
    if number % 2:
        chosen = rng.sample(ids, rng.randint(2, 6))
        made.bundle.CopyFrom(pb.Bundle(product_ids=chosen, price_minor_units=600 * len(chosen)))
    else:
        products = pb.ProductSet(product_ids=rng.sample(ids, 10))
        made.buy_get_free.CopyFrom(pb.BuyGetFree(products=products, buy=rng.randint(1, 3), free=1))
    return made
