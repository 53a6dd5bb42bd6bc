"""Requests at the edges of what the contract allows, each from its seed alone: fifty lines, a hundred units, sixty-four
promotions, the dearest and the free, runs of forty, limits that matter and such that do not, sets that match nothing.
"""

import random

from agora_proto.pricing.v1 import pricing_pb2 as pb

_TIERS = (pb.TIER_BASIC, pb.TIER_SILVER, pb.TIER_GOLD)
_MOST_PRICE = 100_000_000
_KINDS = ("prbt", "r", "b", "t", "rb", "rt", "pb", "pr", "bt")


def edge_request(seed: int) -> pb.PriceBasketRequest:
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    price = rng.choice((1, 3, 50, 1000, _MOST_PRICE))
    units = rng.choice((1, 2, 3, 10, 100))
    categories = [f"category-{number}" for number in range(rng.randint(1, 6))]
    lines = [_line(rng, number, price, units, categories) for number in range(rng.choice((1, 2, 3, 5, 8, 12, 20, 50)))]
    ids = [line.product.product_id for line in lines]
    kinds, longest = rng.choice(_KINDS), rng.choice((1, 3, 20))
    groups = ["", *(f"group-{number}" for number in range(rng.choice((1, 1, 2, 5))))]
    promotions = []
    for number in range(rng.choice((0, 1, 2, 4, 8, 16, 64))):
        promotion = pb.Promotion(
            # Ids compare as UTF-8 bytes, so some are beyond ASCII.
            promotion_id=f"{rng.choice(('q', 'q', 'q', 'ü', '𝄞'))}{number:02}",
            exclusivity_group=rng.choice(groups),
            coupon_code=rng.choice(("", "", "", "CODE")),
        )
        _add_terms(rng, promotion, rng.choice(kinds), (ids, categories), (price, longest))
        promotions.append(promotion)
    rng.shuffle(promotions)
    return pb.PriceBasketRequest(
        lines=lines,
        tier=rng.choice(_TIERS),
        promotions=promotions,
        coupon_codes=rng.choice(((), ("CODE",), ("OTHER", "CODE"))),
        step_budget=rng.choice((rng.randint(1, 300), rng.randint(1, 3000))),
    )


def _line(rng: random.Random, number: int, price: int, units: int, categories: list[str]) -> pb.BasketLine:
    return pb.BasketLine(
        product=pb.PricedProduct(
            product_id=f"{rng.choice(('p', 'p', 'é'))}{number}",
            base_minor_units=rng.choice((0, price, rng.randint(0, price), rng.randint(0, price))),
            available=rng.choice((0, 9, 10, 49, 50, 2**31 - 1)),
            demand_basis_points=rng.choice((1000, 10_000, 50_000, rng.randint(1000, 50_000))),
        ),
        quantity=rng.randint(1, units),
        category_ids=rng.choices(categories, k=rng.randint(0, 3)),
    )


def _add_terms(
    rng: random.Random,
    promotion: pb.Promotion,
    kind: str,
    known: tuple[list[str], list[str]],
    most: tuple[int, int],
) -> None:
    (ids, _), (price, longest) = known, most
    limit = rng.choice((0, 0, 1, 2, rng.randint(1, 100)))
    points = rng.choice((1, 5000, 10_000, rng.randint(1, 10_000)))
    if kind == "b" and len(ids) > 1:
        chosen = rng.sample([*ids, "unknown"], rng.randint(2, min(6, len(ids))))
        promotion.bundle.CopyFrom(
            pb.Bundle(
                product_ids=chosen,
                price_minor_units=rng.choice((0, rng.randint(0, min(2 * price, _MOST_PRICE)))),
                max_applications=limit,
            )
        )
    elif kind == "r":
        run = pb.BuyGetFree(buy=rng.randint(1, longest), free=rng.randint(1, longest), max_applications=limit)
        promotion.buy_get_free.CopyFrom(run)
        promotion.buy_get_free.products.CopyFrom(_set(rng, *known))
    elif kind == "t":
        off = pb.Threshold(minimum_minor_units=rng.choice((0, rng.randint(0, min(10 * price, 10 * _MOST_PRICE)))))
        if rng.random() < 0.5:
            off.amount_minor_units = rng.randint(1, min(3 * price, _MOST_PRICE))
        else:
            off.basis_points = points
        promotion.threshold.CopyFrom(off)
        promotion.threshold.products.CopyFrom(_set(rng, *known))
    else:
        promotion.percent_off.CopyFrom(pb.PercentOff(basis_points=points, products=_set(rng, *known)))


def _set(rng: random.Random, ids: list[str], categories: list[str]) -> pb.ProductSet:
    if rng.random() < 0.3:
        return pb.ProductSet()
    return pb.ProductSet(
        category_ids=rng.choices([*categories, "none"], k=rng.randint(0, 2)),
        product_ids=rng.choices([*ids, "unknown"], k=rng.randint(0, 4)),
    )
