"""Integer arithmetic of prices: minor units, basis points, one rounding."""

UNITY = 10_000
"""Basis points of one whole."""


def divide_half_even(numerator: int, denominator: int) -> int:
    """`numerator / denominator` as the nearest integer, ties to the even one; `denominator` is positive.

    Exact for either sign and any size: no float is involved.
    """
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def share(amount: int, basis_points: int) -> int:
    """So many basis points of an amount, half to even."""
    return divide_half_even(amount * basis_points, UNITY)


def split(amount: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Divides `amount` in proportion to `weights`, losing nothing: the parts are differences of floors of running sums.

    With `0 <= amount <= sum(weights)` no part is above its weight. Some weight is positive.
    """
    whole = sum(weights)
    parts = []
    running = given = 0
    for weight in weights:
        running += weight
        reached = amount * running // whole
        parts.append(reached - given)
        given = reached
    return tuple(parts)
