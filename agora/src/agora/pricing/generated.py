"""Random baskets and requests of the shapes that matter, each from its seed alone; for tests and for `tricorn verify`.

Most baskets are *contested*: several promotions of one group want the same units and save about as much, which is where
taking the best one first goes wrong. Some have round prices, where different combinations often cost the same.
"""

import random
from dataclasses import dataclass

from agora.pricing.domain.promotions import (
    Bundle,
    BuyGetFree,
    Line,
    PercentOff,
    ProductSet,
    Promotion,
    Threshold,
)
from agora.pricing.server.convert import promotion_to
from agora_proto.pricing.v1 import pricing_pb2 as pb

_TIERS = (pb.TIER_BASIC, pb.TIER_SILVER, pb.TIER_GOLD)
_AVAILABLE = (0, 5, 9, 10, 11, 49, 50, 51, 1000)
_DEMAND = (1000, 8000, 9999, 10_000, 10_001, 12_345, 15_000, 50_000)
_DEAREST = 100_000_000
_SIZES = ((4, 7, 6),) * 7 + ((8, 16, 10),) * 2 + ((20, 40, 12),)
"""Most lines, units and promotions."""

_CATEGORIES = ("comedy", "drama", "war")
_GROUPS = ("", "a", "a", "b")
_CONTESTED = (*"aaaaaaa", "")


@dataclass(frozen=True, slots=True)
class Basket:
    lines: tuple[Line, ...]
    promotions: tuple[Promotion, ...]
    coupon_codes: frozenset[str]
    step_budget: int
    """Zero: the default, which none of these exhausts."""


def basket(seed: int, *, most_lines: int = 4, most_units: int = 7, most_promotions: int = 6) -> Basket:
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    lines: list[Line] = []
    contested = rng.random() < 0.92
    round_prices = rng.random() < 0.2
    for number in range(rng.randint(3 if contested else 1, most_lines)):
        spare = most_units - sum(line.quantity for line in lines)
        if spare <= 0:
            break
        unit = rng.choice((100, 200, 300)) if round_prices else rng.randint(500 if contested else 1, 1000)
        categories = frozenset(rng.sample(_CATEGORIES, rng.randint(0, 2)))
        lines.append(Line(f"film-{number}", rng.randint(1, min(3, spare)), unit, categories))
    rng.shuffle(lines)
    promotions = [
        Promotion(
            promotion_id=f"promotion-{number}",
            terms=_terms(rng, lines, contested=contested),
            exclusivity_group=rng.choice(_CONTESTED if contested else _GROUPS),
            coupon_code=rng.choice(("", "", "", "", "", "SPRING", "AUTUMN")),
        )
        for number in range(rng.randint(3, most_promotions))
    ]
    rng.shuffle(promotions)
    codes = frozenset(code for code in ("SPRING", "AUTUMN") if rng.random() < 0.7)
    budget = rng.randint(1, 20) if rng.random() < 0.08 else 0
    return Basket(tuple(lines), tuple(promotions), codes, budget)


def _terms(rng: random.Random, lines: list[Line], *, contested: bool) -> PercentOff | BuyGetFree | Bundle | Threshold:
    kind = rng.choice(("run", "run", "bundle", "bundle", "bundle", "percent", "threshold")[: 5 if contested else None])
    if kind == "percent":
        return PercentOff(_products(rng, lines), rng.choice((500, 1000, 2500, 3333, 5000, 10_000)))
    if kind == "run":
        return BuyGetFree(_products(rng, lines), rng.randint(1, 2), rng.randint(1, 2), rng.choice((0, 0, 1, 2)))
    if kind == "bundle" and len(lines) > 1:
        chosen = rng.sample(lines, 2 if contested else rng.randint(2, min(3, len(lines))))
        price = sum(line.unit for line in chosen) * rng.randint(4, 6 if contested else 11) // 10
        return Bundle(tuple(line.product_id for line in chosen), price, rng.choice((0, 0, 1)))
    minimum = sum(line.subtotal for line in lines) * rng.randint(0, 9) // 10
    if rng.random() < 0.5:
        return Threshold(_products(rng, lines), minimum, amount=rng.randint(100, 1500))
    return Threshold(_products(rng, lines), minimum, basis_points=rng.choice((500, 1500, 3333)))


def _products(rng: random.Random, lines: list[Line]) -> ProductSet:
    choice = rng.random()
    if choice < 0.4:
        return ProductSet()
    if choice < 0.7:
        return ProductSet(categories=frozenset(rng.sample(_CATEGORIES, rng.randint(1, 2))))
    some = rng.sample(lines, rng.randint(1, len(lines)))
    categories = frozenset((rng.choice(_CATEGORIES),)) if choice > 0.9 else frozenset()
    return ProductSet(categories, frozenset(line.product_id for line in some))


def request(
    rng: random.Random, method: str
) -> pb.PriceBasketRequest | pb.PriceProductsRequest | pb.RepriceCatalogueRequest | None:
    """A request for a method of PricingService, as `[verify.pricing]` of tricorn.toml asks for it."""
    match method:
        case "PriceBasket":
            lines, units, promotions = rng.choice(_SIZES)
            drawn = basket(rng.getrandbits(32), most_lines=lines, most_units=units, most_promotions=promotions)
            return basket_request(drawn, rng)
        case "PriceProducts":
            products = [_product(rng, f"film-{number}", rng.randint(0, 5000)) for number in range(rng.randint(1, 8))]
            return pb.PriceProductsRequest(products=products, tier=rng.choice(_TIERS))
        case "RepriceCatalogue":
            return pb.RepriceCatalogueRequest(
                histories=[_history(rng, number) for number in range(rng.randint(1, 4))],
                max_change_basis_points=rng.choice((0, 1, 500, 1000, 2500, 9000)),
                grid_steps=rng.choice((1, 2, 5, 10, 40)),
            )
        case _:
            return None


def basket_request(drawn: Basket, rng: random.Random) -> pb.PriceBasketRequest:
    """A basket as a request: its unit prices are taken as base prices, with scarcity, demand and tier of their own."""
    return pb.PriceBasketRequest(
        lines=[
            pb.BasketLine(
                product=_product(rng, line.product_id, line.unit),
                quantity=line.quantity,
                category_ids=sorted(line.categories),
            )
            for line in drawn.lines
        ],
        tier=rng.choice(_TIERS),
        promotions=map(promotion_to, drawn.promotions),
        coupon_codes=sorted(drawn.coupon_codes),
        step_budget=drawn.step_budget,
    )


def _product(rng: random.Random, product_id: str, base: int) -> pb.PricedProduct:
    plain = rng.random() < 0.5
    return pb.PricedProduct(
        product_id=product_id,
        base_minor_units=base,
        available=100 if plain else rng.choice(_AVAILABLE),
        demand_basis_points=10_000 if plain else rng.choice((*_DEMAND, rng.randint(1000, 50_000))),
    )


def _history(rng: random.Random, number: int) -> pb.DemandHistory:
    """Demand that falls with the price, with noise; sometimes at one price only, or with days without a sale."""
    current = rng.choice((1, 2, 99, rng.randint(100, 5000), rng.randint(1, _DEAREST)))
    slope = rng.uniform(-3, 1)
    spread = rng.choice((0, 1, current // 10, current // 2))
    points = []
    for _ in range(rng.choice((0, 1, 2, 3, 10, 60))):
        price = min(_DEAREST, max(1, current + rng.randint(-spread, spread)))
        expected = 50 * (price / current) ** slope * rng.uniform(0.5, 1.5)
        points.append(pb.DemandPoint(price_minor_units=price, units=0 if rng.random() < 0.1 else round(expected)))
    return pb.DemandHistory(product_id=f"film-{number}", current_minor_units=current, points=points)
