"""Elasticity from demand history, and the price that brings the most revenue."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agora.pricing.domain.money import UNITY, divide_half_even

TIE = 1e-9
"""Revenues closer than this share of the best are equal: a decision must not hang on the last bit of a logarithm."""

_LEAST_UNITS = 0.5


@dataclass(frozen=True, slots=True)
class History:
    product_id: str
    current: int
    points: tuple[tuple[int, int], ...]
    """(price, units) of one day each; prices are positive."""


@dataclass(frozen=True, slots=True)
class Repriced:
    product_id: str
    price: int
    elasticity: float | None


def reprice(history: History, max_change_basis_points: int, grid_steps: int) -> Repriced:
    """The revenue-best price of the grid, if the history determines an elasticity; else the price stays.

    With demand `units ~ price ** elasticity` the revenue of a price, against that of the current one, is
    `(price / current) ** (1 + elasticity)`. Of equal revenues (see `TIE`) the price nearest the
    current one is taken, then the lower.
    """
    slope = elasticity(history.points)
    if slope is None:
        return Repriced(history.product_id, history.current, None)
    revenues = {
        price: (1 + slope) * math.log(price / history.current)
        for price in grid(history.current, max_change_basis_points, grid_steps)
    }
    best = max(revenues.values())
    equal = [price for price, revenue in revenues.items() if best - revenue <= TIE]
    return Repriced(history.product_id, min(equal, key=lambda price: (abs(price - history.current), price)), slope)


def elasticity(points: Sequence[tuple[int, int]]) -> float | None:
    """The slope of the least-squares line of ln(units) over ln(price); none with fewer than two different prices.

    A day without a sale has no logarithm and counts as half a unit.
    """
    if len({price for price, _ in points}) < 2:  # noqa: PLR2004 - a line needs two
        return None
    x = [math.log(price) for price, _ in points]
    y = [math.log(units or _LEAST_UNITS) for _, units in points]
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    covariance = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / math.fsum((a - mean_x) ** 2 for a in x)


def grid(current: int, max_change_basis_points: int, grid_steps: int) -> list[int]:
    """The prices tried, ascending: the current one and `grid_steps` on either side, evenly, half to even.

    None is farther from the current price than the change allows (rounded down to a minor unit), and none below 1.
    """
    furthest = current * max_change_basis_points // UNITY
    tried = {
        current
        + max(-furthest, min(furthest, divide_half_even(current * max_change_basis_points * step, UNITY * grid_steps)))
        for step in range(-grid_steps, grid_steps + 1)
    }
    return sorted(price for price in tried if price >= 1)
