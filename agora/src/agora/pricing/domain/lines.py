"""The dynamic price of one unit."""

from enum import IntEnum

from agora.pricing.domain.money import UNITY, divide_half_even


class Tier(IntEnum):
    """What a customer's spending has earned; the numbers are those of the contract."""

    BASIC = 1
    SILVER = 2
    GOLD = 3

    @property
    def discount_basis_points(self) -> int:
        return _DISCOUNTS[self]


_DISCOUNTS = {Tier.BASIC: 500, Tier.SILVER: 1_000, Tier.GOLD: 1_500}


def scarcity_basis_points(available: int) -> int:
    """1.5 below 10 units, 1.2 below 50, else 1.0."""
    if available < 10:  # noqa: PLR2004 - the rule itself
        return 15_000
    if available < 50:  # noqa: PLR2004 - the rule itself
        return 12_000
    return UNITY


def unit_price(base: int, available: int, demand_basis_points: int, tier: Tier) -> int:
    """What one unit costs before promotions, in minor units.

    `base x demand x scarcity x (1 - tier discount)`, multiplied exactly and divided once at the end, half to even: no
    intermediate result is rounded.
    """
    factors = demand_basis_points * scarcity_basis_points(available) * (UNITY - tier.discount_basis_points)
    return divide_half_even(base * factors, UNITY**3)


def discount_basis_points(base: int, final: int) -> int:
    """How much less than the base price, negative when it rose; zero for a base of zero."""
    return divide_half_even(UNITY * (base - final), base) if base else 0
