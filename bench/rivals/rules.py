"""The shop's rules, as both rivals keep them: prices, tiers, where stock is taken from, and a till that knows test cards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

UNITY = 10_000
_DISCOUNTS = {"TIER_BASIC": 500, "TIER_SILVER": 1_000, "TIER_GOLD": 1_500}
_SILVER_FROM, _GOLD_FROM = 200_00, 1000_00
_SCARCE, _FEW = 10, 50
_DECLINED = {
    "test_declined": ("PAYMENT_DECLINED", "The acquirer has declined the payment."),
    "test_insufficient_funds": ("INSUFFICIENT_FUNDS", "The card has insufficient funds."),
}


class RefusedError(Exception):
    """What is answered as a problem (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str, violations: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.violations = list(violations)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a basket with its price, in minor units."""

    product_id: str
    title: str
    quantity: int
    unit_price: int

    @property
    def total(self) -> int:
        return self.unit_price * self.quantity


@dataclass(frozen=True, slots=True)
class Taken:
    """Units of one product from one warehouse."""

    product_id: str
    warehouse_id: str
    quantity: int


def tier_of(spent: int | None) -> str:
    if (spent or 0) >= _GOLD_FROM:
        return "TIER_GOLD"
    return "TIER_SILVER" if (spent or 0) >= _SILVER_FROM else "TIER_BASIC"


def divide_half_even(numerator: int, denominator: int) -> int:
    """The nearest integer, ties to the even one."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + 1 if twice > denominator or (twice == denominator and quotient % 2 == 1) else quotient


def unit_price(product: Any) -> int:
    """Base price x demand x scarcity x the tier's discount, rounded once."""
    demand = divide_half_even(UNITY * 4 * (product["recent"] + 10), product["usual"] + 40)
    demand = max(8_000, min(15_000, demand))
    available = product["available"]
    scarcity = 15_000 if available < _SCARCE else 12_000 if available < _FEW else UNITY
    discount = UNITY - _DISCOUNTS[tier_of(product["spent"])]
    return divide_half_even(product["base_price"] * demand * scarcity * discount, UNITY**3)


def priced(wanted: Sequence[tuple[str, int]], products: Sequence[Any]) -> list[Line]:
    """The lines with their prices now.

    Raises:
        RefusedError: a product is not there, or there is not enough of it.
    """
    known = {product["product_id"]: product for product in products}
    lines = []
    for product_id, quantity in wanted:
        product = known.get(product_id)
        if product is None:
            raise RefusedError(404, "NOT_FOUND", f"There is no product {product_id}.")
        if product["available"] < quantity:
            raise RefusedError(409, "OUT_OF_STOCK", f"There are only {product['available']} of {product['title']}.")
        lines.append(Line(product_id, product["title"], quantity, unit_price(product)))
    return lines


def take(lines: Sequence[Line], stock: Sequence[Any]) -> list[Taken]:
    """Where each line is taken from: the warehouse that has most of it first.

    Raises:
        RefusedError: there is not enough.
    """
    taken = []
    for line in lines:
        missing = line.quantity
        for row in sorted(
            (row for row in stock if row["product_id"] == line.product_id), key=lambda row: -row["available"]
        ):
            units = min(missing, row["available"])
            if units:
                taken.append(Taken(line.product_id, row["warehouse_id"], units))
                missing -= units
        if missing:
            raise RefusedError(409, "OUT_OF_STOCK", f"There is not enough of {line.title}.")
    return taken


def authorise(method: str) -> None:
    """Takes the money, in this process.

    Raises:
        RefusedError: the card is refused.
    """
    if method in _DECLINED:
        raise RefusedError(402, *_DECLINED[method])


def agree(expected: int | None, total: int) -> None:
    """Refuses a total that is not what the buyer has agreed to; None agrees to any."""
    if expected is not None and expected != total:
        raise RefusedError(409, "PRICE_CHANGED", f"It costs {total} now.")


def stock_parameters(taken: Sequence[Taken]) -> dict[str, Any]:
    """For the statements that change stock, in the order of locks."""
    ordered = sorted(taken, key=lambda each: (each.product_id, each.warehouse_id))
    return {
        "stock_products": [each.product_id for each in ordered],
        "stock_warehouses": [each.warehouse_id for each in ordered],
        "stock_quantities": [each.quantity for each in ordered],
    }


def taken_to_json(taken: Sequence[Taken]) -> str:
    return json.dumps([[each.product_id, each.warehouse_id, each.quantity] for each in taken])


def taken_from_json(text: str) -> list[Taken]:
    return [Taken(*each) for each in json.loads(text)]
