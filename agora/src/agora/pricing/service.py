"""Promotions, coupons, demand and customers' standing: everything that can be done with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from agora.pricing.domain.campaign import Campaign, invalid_coupon, same_redemption
from agora.pricing.domain.demand import demand_basis_points, first_days
from agora.pricing.domain.lines import Tier
from agora.pricing.domain.money import divide_half_even
from agora.pricing.domain.promotions import Promotion
from agora.pricing.domain.repricing import History
from agora.pricing.domain.standing import tier_for
from agora.pricing.events import created
from agora.pricing.repository import Demands, PromotionsRepository
from tricorn.clock import Clock
from tricorn.contract import PlatformReason, Refusal
from tricorn.events import Begin

REMEMBER = timedelta(seconds=5)
"""How old the remembered promotions may be, should the news of a change not arrive."""


@dataclass(frozen=True, slots=True)
class Inputs:
    tier: Tier
    demands: list[tuple[str, int]]
    """(product, basis points) in the order asked for."""
    promotions: list[Promotion]


class PromotionsService:
    """Reads go to `demands` and to `repository`, which stand on the database itself; what changes runs in a unit of work."""

    def __init__(
        self, repository: PromotionsRepository, demands: Demands, begin: Begin[PromotionsRepository], clock: Clock
    ) -> None:
        self._repository = repository
        self._demands = demands
        self._begin = begin
        self._clock = clock
        self._remembered: list[Campaign] = []
        self._forget_at = clock.now()

    def forget_promotions(self) -> None:
        """What is remembered of the promotions is out of date."""
        self._forget_at = self._clock.now()

    async def pricing_inputs(
        self, product_ids: Sequence[str], user_id: str | None, coupon_codes: Sequence[str], *, with_promotions: bool
    ) -> Inputs:
        """One statement, one more when coupons are named. Promotions come from memory, at most `REMEMBER` old.

        Raises:
            Refusal: COUPON_INVALID, COUPON_EXHAUSTED.
        """
        today = self._clock.now().date()
        if product_ids:
            units, spent = await self._demands(product_ids, *first_days(today), today, user_id)
        else:
            units, spent = [], await self._repository.spent(user_id) if user_id else 0
        demands = [
            (product_id.lower(), demand_basis_points(*sold))
            for product_id, sold in zip(product_ids, units, strict=True)
        ]
        redeemable = await self._redeemable(coupon_codes, user_id) if coupon_codes else []
        promotions = [*await self._open_to_all(), *redeemable] if with_promotions else []
        return Inputs(tier_for(spent), demands, sorted(promotions, key=lambda promotion: promotion.promotion_id))

    async def redeem(self, key: str, coupon_codes: Sequence[str], user_id: str) -> None:
        """Counts one use of each coupon, all or none, once per key.

        Raises:
            Refusal: COUPON_INVALID, COUPON_EXHAUSTED; IDEMPOTENCY_KEY_REUSED; INVALID_STATE when the key was released.
        """
        codes = tuple(sorted(coupon_codes))
        now = self._clock.now()
        async with self._begin() as work:
            if not await work.repository.claim_key(key, user_id, codes):
                earlier = await work.repository.redemption(key)
                if earlier is None:
                    raise Refusal(PlatformReason.ABORTED, "The key was in use in the same moment; ask again.")
                same_redemption(earlier, user_id, codes)
                return
            for code in codes:
                if not await work.repository.redeem(code, user_id, now):
                    await self._refuse(work.repository, code, user_id)

    async def release(self, key: str) -> None:
        """Takes a key's uses back; the key cannot be used after it. Again, or without a use, it changes nothing."""
        async with self._begin() as work:
            released = await work.repository.release_key(key, self._clock.now())
            if released is not None and released.user_id is not None:
                for code in released.coupon_codes:
                    await work.repository.take_back(code, released.user_id)

    async def create_promotion(self, campaign: Campaign) -> Campaign:
        """Adds a promotion, or finds that it is there just so.

        Raises:
            Refusal: ALREADY_EXISTS when another has its id or its coupon's code; INVALID_ARGUMENT.
        """
        campaign = campaign.created()
        promotion = campaign.promotion
        async with self._begin() as work:
            if await work.repository.add_campaign(campaign):
                await work.publish(created(promotion.promotion_id), subject=promotion.promotion_id)
                found: Campaign | None = campaign
            else:
                found = await work.repository.campaign(promotion.promotion_id)
        if found != campaign:
            taken = f"coupon {promotion.coupon_code}" if found is None else f"promotion {promotion.promotion_id}"
            raise Refusal(PlatformReason.ALREADY_EXISTS, f"There is another {taken}.")
        self.forget_promotions()
        return found

    async def promotions(self) -> list[Campaign]:
        """All of them, by id."""
        return await self._repository.campaigns()

    async def standing(self, user_id: str) -> tuple[int, Tier]:
        """What a customer has spent, and the tier it gives."""
        spent = await self._repository.spent(user_id)
        return spent, tier_for(spent)

    async def demand_history(self, product_ids: Sequence[str], days: int) -> list[History]:
        """In the order asked for, without products that were not sold; the last day's price is the current one.

        A day's price is the mean of its units before promotions, half to even, at least 1. Zero days means all.
        """
        since = self._clock.now().date() - timedelta(days=days - 1) if days else None
        points: dict[str, list[tuple[int, int]]] = {}
        for product_id, _, units, revenue in await self._repository.history(product_ids, since):
            points.setdefault(product_id, []).append((max(1, divide_half_even(revenue, units)), units))
        return [History(product_id, days_[-1][0], tuple(days_)) for product_id, days_ in points.items()]

    async def _open_to_all(self) -> list[Promotion]:
        now = self._clock.now()
        if now >= self._forget_at:
            self._forget_at = now + REMEMBER
            self._remembered = await self._repository.campaigns()
        return [each.promotion for each in self._remembered if not each.promotion.coupon_code and each.in_force(now)]

    async def _redeemable(self, codes: Sequence[str], user_id: str | None) -> list[Promotion]:
        found = {
            each.promotion.coupon_code: (each, uses) for each, uses in await self._repository.coupons(codes, user_id)
        }
        now = self._clock.now()
        for code in codes:
            if code not in found:
                raise invalid_coupon(code)
            campaign, uses = found[code]
            campaign.redeemable(now, uses)
        return [campaign.promotion for campaign, _ in found.values()]

    async def _refuse(self, repository: PromotionsRepository, code: str, user_id: str) -> None:
        for campaign, uses in await repository.coupons([code], user_id):
            campaign.redeemable(self._clock.now(), uses)
        raise invalid_coupon(code)
