"""What promotions mean.

The words: a *line* is a product with a quantity; its units all have the same *unit price* (see `lines`), from which
every benefit is computed, whatever else applies. Lines have a *canonical order*: dearest unit first, then by product
id. Ids compare as UTF-8 bytes. A promotion with a coupon code takes part only if the request names that code.

A promotion belongs to a *group*: its exclusivity group, or one of its own when that is empty. **Within a group a unit
is used by at most one promotion; promotions of different groups may use the same unit.** Groups have a canonical order
too: by (exclusivity group, and for those without one promotion id).

A *combination* says for every promotion which units it uses:

- **Threshold** uses all units of its set or none. It may be used if the set's units cost at least the minimum at their
  unit prices, and something at all. With basis points every unit gets that share of its unit price, half to even. With
  an amount, at most what the units cost, the amount is split over the set's lines in canonical order in proportion to
  their subtotals (`money.split`).
- **Bundle** uses one unit of each of its products at each application. What it takes off is the sum of their unit
  prices less its price; if that is not positive, or a product is not in the basket, it does not apply. It is split over
  the products in canonical order in proportion to their unit prices (`money.split`), so equal units get equal shares at
  every application.
- **BuyGetFree** uses `k x (buy + free)` units of its set, any of them. All that it uses are put in canonical order and
  cut into runs of `buy + free`; in each run the last `free` units, which are its cheapest, cost nothing. This makes `k`
  applications.
- **PercentOff** is no choice: it uses each unit of its set that no other promotion of its group uses, each unit being
  one application; of several in a group, the one that takes most off the unit, then the smallest promotion id. Every
  unit gets that share of its unit price, half to even; where that is nothing, the unit is not used.

*Stacking.* A unit never costs less than nothing, nor does a line. The units of a line are alike, so what counts is only
how many units of a line get which benefit from a group. Group by group in canonical order, the group's benefits for the
line are laid on its units, the largest benefit (of equals, the smallest promotion id) on the unit with most left to
pay, the second largest on the next, and so on; each takes off at most what is left. (That pairing loses least.) Last,
the amounts of thresholds are taken off the line as a whole, by promotion id, each at most what is left. What a
promotion took off in this way is its discount; one that took nothing off is not reported.

*The cheapest combination* has the smallest total. Among equals it is the one whose decisions come last in dictionary
order, that is the one that applies more, earlier: first how often each threshold (once or not) and bundle applies, by
promotion id; then, line by line in canonical order, how many units each BuyGetFree uses, by group and promotion id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    product_id: str
    quantity: int
    unit: int
    """Minor units for one unit, before promotions."""
    categories: frozenset[str] = frozenset()

    @property
    def subtotal(self) -> int:
        return self.unit * self.quantity


@dataclass(frozen=True, slots=True)
class ProductSet:
    """Products of any of the categories and those named; nothing said means all."""

    categories: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()

    def __contains__(self, line: Line) -> bool:
        if not self.categories and not self.products:
            return True
        return line.product_id in self.products or not self.categories.isdisjoint(line.categories)


@dataclass(frozen=True, slots=True)
class PercentOff:
    products: ProductSet
    basis_points: int


@dataclass(frozen=True, slots=True)
class BuyGetFree:
    products: ProductSet
    buy: int
    free: int
    max_applications: int = 0
    """Zero: as often as there are units."""


@dataclass(frozen=True, slots=True)
class Bundle:
    product_ids: tuple[str, ...]
    price: int
    max_applications: int = 0
    """Zero: as often as there are units."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Exactly one of `amount` and `basis_points` is positive."""

    products: ProductSet
    minimum: int
    amount: int = 0
    basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Promotion:
    promotion_id: str
    terms: PercentOff | BuyGetFree | Bundle | Threshold
    exclusivity_group: str = ""
    coupon_code: str = ""
    name: str = ""

    @property
    def group(self) -> tuple[str, str]:
        return (self.exclusivity_group, "" if self.exclusivity_group else self.promotion_id)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a promotion did to a basket."""

    applications: int
    discount: int


@dataclass(frozen=True, slots=True)
class BasketPrice:
    line_discounts: tuple[int, ...]
    """In the order the lines were given."""
    subtotal: int
    discount: int
    exact: bool
    steps: int
    applied: Mapping[str, Applied] = field(default_factory=dict)
    """By promotion id, ascending; only those that took something off."""

    @property
    def total(self) -> int:
        return self.subtotal - self.discount
