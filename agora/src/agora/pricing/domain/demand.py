"""How recent sales move a price."""

from datetime import date, timedelta

from agora.pricing.domain.money import UNITY, divide_half_even

RECENT_DAYS = 7
USUAL_DAYS = 28
DAMPING_UNITS = 10
LOWEST, HIGHEST = 8_000, 15_000


def first_days(today: date) -> tuple[date, date]:
    """Where the recent and the usual days begin; both end with today."""
    return today - timedelta(days=RECENT_DAYS - 1), today - timedelta(days=USUAL_DAYS - 1)


def demand_basis_points(recent: int, usual: int) -> int:
    """Demand from the units sold in the last 7 and in the last 28 days, today among them; 10000 is ordinary.

    The recent week against the mean week of the four, both with 10 units added, so that a single sale of what hardly
    sells moves little: `10000 x 4 x (recent + 10) / (usual + 40)`, half to even, within 8000 and 15000.
    """
    weeks = USUAL_DAYS // RECENT_DAYS
    ratio = divide_half_even(UNITY * weeks * (recent + DAMPING_UNITS), usual + weeks * DAMPING_UNITS)
    return max(LOWEST, min(HIGHEST, ratio))
