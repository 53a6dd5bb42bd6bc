"""How demand and promotions lie in pricing's tables, for whoever fills a new shop."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from agora.pricing.domain.promotions import Promotion
from agora.pricing.terms import to_json

Table = tuple[str, tuple[str, ...], list[Sequence[Any]]]


def demand(rows: Iterable[tuple[str, date, int, int]]) -> Table:
    """From (product_id, day, price in cents, units)."""
    columns = ("product_id", "day", "units", "revenue_minor_units")
    return "demand_day", columns, [(product_id, day, units, price * units) for product_id, day, price, units in rows]


def promotions(rows: Iterable[tuple[Promotion, int, int]]) -> Table:
    """From (promotion, redemption limit, limit for one customer); in force since ever and until further notice."""
    columns = (
        "promotion_id", "name", "exclusivity_group", "coupon_code", "terms", "redemption_limit",
        "redemption_limit_per_user",
    )  # fmt: skip
    return "promotion", columns, [
        (each.promotion_id, each.name, each.exclusivity_group, each.coupon_code, to_json(each.terms), limit, per_user)
        for each, limit, per_user in rows
    ]  # fmt: skip
