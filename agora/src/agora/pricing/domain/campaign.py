"""A promotion as the shop keeps it: when it holds and how often its coupon may be redeemed."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from agora.pricing.domain.promotions import Promotion
from agora_proto.reasons import Reason
from tricorn.contract import PlatformReason, Refusal, Violation


@dataclass(frozen=True, slots=True)
class Campaign:
    promotion: Promotion
    start_time: datetime | None = None
    """None: since ever."""
    end_time: datetime | None = None
    """Not in force from then on. None: until further notice."""
    redemption_limit: int = 0
    """Zero: without limit."""
    redemption_limit_per_user: int = 0
    redemptions: int = field(default=0, compare=False)

    def in_force(self, now: datetime) -> bool:
        started = self.start_time is None or self.start_time <= now
        return started and (self.end_time is None or now < self.end_time)

    def created(self) -> "Campaign":
        """As it begins: never redeemed.

        Raises:
            Refusal: INVALID_ARGUMENT when it would end before it begins.
        """
        if self.start_time is not None and self.end_time is not None and self.end_time <= self.start_time:
            violation = Violation("record.end_time", "after_start", "the end must come after the start")
            raise Refusal(PlatformReason.INVALID_ARGUMENT, violation.message, violations=[violation])
        return replace(self, redemptions=0)

    def redeemable(self, now: datetime, uses_by_user: int) -> None:
        """Raises Refusal COUPON_INVALID when it does not hold now, COUPON_EXHAUSTED when a limit is reached."""
        if not self.in_force(now):
            raise invalid_coupon(self.promotion.coupon_code)
        if self.redemption_limit and self.redemptions >= self.redemption_limit:
            raise _exhausted(self.promotion.coupon_code, "The coupon has been redeemed as often as it may.")
        if self.redemption_limit_per_user and uses_by_user >= self.redemption_limit_per_user:
            raise _exhausted(self.promotion.coupon_code, "You have redeemed the coupon as often as you may.")


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a key was used for; `released` when it was taken back, or given up before it was ever used."""

    user_id: str | None
    coupon_codes: tuple[str, ...]
    """Ascending."""
    released: bool


def same_redemption(earlier: Redemption, user_id: str, coupon_codes: tuple[str, ...]) -> None:
    """Whether a key's second use asks for what the first did.

    Raises:
        Refusal: INVALID_STATE when it was released, IDEMPOTENCY_KEY_REUSED when the first asked for something else.
    """
    if earlier.released:
        raise Refusal(Reason.INVALID_STATE, "The uses of this key were taken back; a key is not used again.")
    if (earlier.user_id, earlier.coupon_codes) != (user_id, coupon_codes):
        raise Refusal(
            PlatformReason.IDEMPOTENCY_KEY_REUSED, "The key was used before with other coupons or by another customer."
        )


def invalid_coupon(code: str) -> Refusal:
    return Refusal(
        Reason.COUPON_INVALID, "There is no such coupon, or not at this time.", metadata={"coupon_code": code}
    )


def _exhausted(code: str, detail: str) -> Refusal:
    return Refusal(Reason.COUPON_EXHAUSTED, detail, metadata={"coupon_code": code})
