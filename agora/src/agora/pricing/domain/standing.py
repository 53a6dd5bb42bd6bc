"""What customers earn by spending."""

from agora.pricing.domain.lines import Tier

SILVER_FROM = 200_00
GOLD_FROM = 1000_00


def tier_for(spent: int) -> Tier:
    """Silver from 200.00 spent, gold from 1000.00, in minor units; orders placed and not cancelled count."""
    if spent >= GOLD_FROM:
        return Tier.GOLD
    return Tier.SILVER if spent >= SILVER_FROM else Tier.BASIC
