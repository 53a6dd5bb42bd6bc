"""The contract of promotions, coupons, demand and standing."""

from agora.pricing.domain.repricing import History
from agora.pricing.server.convert import campaign_from, campaign_to, promotion_to
from agora.pricing.service import PromotionsService
from agora_proto.pricing.v1 import pricing_pb2 as pb
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceBase
from tricorn.wire import Call


class PromotionsServer(PromotionsServiceBase):
    """Ids of products and users are answered in lower case, as they are kept."""

    def __init__(self, service: PromotionsService) -> None:
        self._service = service

    async def get_pricing_inputs(self, request: pb.GetPricingInputsRequest, call: Call) -> pb.PricingInputs:
        inputs = await self._service.pricing_inputs(
            list(request.product_ids),
            request.user_id or None,
            list(request.coupon_codes),
            with_promotions=not request.without_promotions,
        )
        return pb.PricingInputs(
            tier=pb.Tier.ValueType(inputs.tier),
            demands=[
                pb.ProductDemand(product_id=product_id, demand_basis_points=demand)
                for product_id, demand in inputs.demands
            ],
            promotions=map(promotion_to, inputs.promotions),
        )

    async def redeem_coupons(self, request: pb.RedeemCouponsRequest, call: Call) -> pb.RedeemCouponsResponse:
        await self._service.redeem(request.key, list(request.coupon_codes), request.user_id.lower())
        return pb.RedeemCouponsResponse()

    async def release_coupons(self, request: pb.ReleaseCouponsRequest, call: Call) -> pb.ReleaseCouponsResponse:
        await self._service.release(request.key)
        return pb.ReleaseCouponsResponse()

    async def create_promotion(self, request: pb.CreatePromotionRequest, call: Call) -> pb.PromotionRecord:
        return campaign_to(await self._service.create_promotion(campaign_from(request.record)))

    async def list_promotions(self, request: pb.ListPromotionsRequest, call: Call) -> pb.ListPromotionsResponse:
        return pb.ListPromotionsResponse(records=map(campaign_to, await self._service.promotions()))

    async def get_customer_standing(self, request: pb.GetCustomerStandingRequest, call: Call) -> pb.CustomerStanding:
        spent, tier = await self._service.standing(request.user_id)
        return pb.CustomerStanding(
            user_id=request.user_id.lower(), spent_minor_units=spent, tier=pb.Tier.ValueType(tier)
        )

    async def get_demand_history(self, request: pb.GetDemandHistoryRequest, call: Call) -> pb.GetDemandHistoryResponse:
        histories = await self._service.demand_history(list(request.product_ids), request.days)
        return pb.GetDemandHistoryResponse(histories=map(_history, histories))


def _history(history: History) -> pb.DemandHistory:
    return pb.DemandHistory(
        product_id=history.product_id,
        current_minor_units=history.current,
        points=[pb.DemandPoint(price_minor_units=price, units=units) for price, units in history.points],
    )
