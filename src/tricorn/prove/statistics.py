"""What can be said of all inputs after so many of them: the exact one-sided bound of Clopper and Pearson (1934)."""

import math

CONFIDENCE = 0.95

_STEPS = 200


def upper_bound(different: int, compared: int, confidence: float = CONFIDENCE) -> float:
    """The share below which the true one lies with ``confidence``, when ``different`` of ``compared`` independent inputs differ.

    It is the ``p`` for which so few differences or fewer come about with probability ``1 - confidence``; 1 when nothing was compared.
    Found by bisection to the last bit that matters; with none different it is ``1 - (1 - confidence) ** (1 / compared)``.

    Raises:
        ValueError: More differ than were compared.
    """
    if not 0 <= different <= compared:
        raise ValueError(f"{different} of {compared} cannot differ")
    if different == compared:
        return 1.0
    alpha = 1 - confidence
    if different == 0:
        return -math.expm1(math.log(alpha) / compared)
    low, high = different / compared, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if _at_most(different, compared, middle) > alpha:
            low = middle
        else:
            high = middle
    return high


def _at_most(different: int, compared: int, share: float) -> float:
    """The probability of so many successes or fewer in ``compared`` trials."""
    log_share, log_rest = math.log(share), math.log1p(-share)
    whole = math.lgamma(compared + 1)
    return math.fsum(
        math.exp(
            whole
            - math.lgamma(count + 1)
            - math.lgamma(compared - count + 1)
            + count * log_share
            + (compared - count) * log_rest
        )
        for count in range(different + 1)
    )
