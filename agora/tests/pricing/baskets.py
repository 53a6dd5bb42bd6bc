"""Small random baskets, each from its seed alone.

Most are *contested*: several promotions of one group want the same units and save about as much, which is where taking
the best one first goes wrong. Some have round prices, where different combinations often cost the same.
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
