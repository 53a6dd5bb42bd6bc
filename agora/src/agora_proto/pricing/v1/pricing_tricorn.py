"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.pricing.v1 import pricing_pb2
from tricorn.wire.call import Call, Caller


class PricingServiceClient:
    SERVICE = "agora.pricing.v1.PricingService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def price_products(self, request: pricing_pb2.PriceProductsRequest, *, deadline: float | None = None) -> pricing_pb2.PriceProductsResponse:
        return await self._caller.call("agora.pricing.v1.PricingService/PriceProducts", request, deadline)  # type: ignore[return-value]

    async def price_basket(self, request: pricing_pb2.PriceBasketRequest, *, deadline: float | None = None) -> pricing_pb2.PriceBasketResponse:
        return await self._caller.call("agora.pricing.v1.PricingService/PriceBasket", request, deadline)  # type: ignore[return-value]

    async def reprice_catalogue(self, request: pricing_pb2.RepriceCatalogueRequest, *, deadline: float | None = None) -> pricing_pb2.RepriceCatalogueResponse:
        return await self._caller.call("agora.pricing.v1.PricingService/RepriceCatalogue", request, deadline)  # type: ignore[return-value]


class PricingServiceBase(abc.ABC):
    SERVICE = "agora.pricing.v1.PricingService"

    @abc.abstractmethod
    async def price_products(self, request: pricing_pb2.PriceProductsRequest, call: Call) -> pricing_pb2.PriceProductsResponse: ...

    @abc.abstractmethod
    async def price_basket(self, request: pricing_pb2.PriceBasketRequest, call: Call) -> pricing_pb2.PriceBasketResponse: ...

    @abc.abstractmethod
    async def reprice_catalogue(self, request: pricing_pb2.RepriceCatalogueRequest, call: Call) -> pricing_pb2.RepriceCatalogueResponse: ...


class PromotionsServiceClient:
    SERVICE = "agora.pricing.v1.PromotionsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def get_pricing_inputs(self, request: pricing_pb2.GetPricingInputsRequest, *, deadline: float | None = None) -> pricing_pb2.PricingInputs:
        return await self._caller.call("agora.pricing.v1.PromotionsService/GetPricingInputs", request, deadline)  # type: ignore[return-value]

    async def redeem_coupons(self, request: pricing_pb2.RedeemCouponsRequest, *, deadline: float | None = None) -> pricing_pb2.RedeemCouponsResponse:
        return await self._caller.call("agora.pricing.v1.PromotionsService/RedeemCoupons", request, deadline)  # type: ignore[return-value]

    async def release_coupons(self, request: pricing_pb2.ReleaseCouponsRequest, *, deadline: float | None = None) -> pricing_pb2.ReleaseCouponsResponse:
        return await self._caller.call("agora.pricing.v1.PromotionsService/ReleaseCoupons", request, deadline)  # type: ignore[return-value]

    async def create_promotion(self, request: pricing_pb2.CreatePromotionRequest, *, deadline: float | None = None) -> pricing_pb2.PromotionRecord:
        return await self._caller.call("agora.pricing.v1.PromotionsService/CreatePromotion", request, deadline)  # type: ignore[return-value]

    async def list_promotions(self, request: pricing_pb2.ListPromotionsRequest, *, deadline: float | None = None) -> pricing_pb2.ListPromotionsResponse:
        return await self._caller.call("agora.pricing.v1.PromotionsService/ListPromotions", request, deadline)  # type: ignore[return-value]

    async def get_customer_standing(self, request: pricing_pb2.GetCustomerStandingRequest, *, deadline: float | None = None) -> pricing_pb2.CustomerStanding:
        return await self._caller.call("agora.pricing.v1.PromotionsService/GetCustomerStanding", request, deadline)  # type: ignore[return-value]

    async def get_demand_history(self, request: pricing_pb2.GetDemandHistoryRequest, *, deadline: float | None = None) -> pricing_pb2.GetDemandHistoryResponse:
        return await self._caller.call("agora.pricing.v1.PromotionsService/GetDemandHistory", request, deadline)  # type: ignore[return-value]


class PromotionsServiceBase(abc.ABC):
    SERVICE = "agora.pricing.v1.PromotionsService"

    @abc.abstractmethod
    async def get_pricing_inputs(self, request: pricing_pb2.GetPricingInputsRequest, call: Call) -> pricing_pb2.PricingInputs: ...

    @abc.abstractmethod
    async def redeem_coupons(self, request: pricing_pb2.RedeemCouponsRequest, call: Call) -> pricing_pb2.RedeemCouponsResponse: ...

    @abc.abstractmethod
    async def release_coupons(self, request: pricing_pb2.ReleaseCouponsRequest, call: Call) -> pricing_pb2.ReleaseCouponsResponse: ...

    @abc.abstractmethod
    async def create_promotion(self, request: pricing_pb2.CreatePromotionRequest, call: Call) -> pricing_pb2.PromotionRecord: ...

    @abc.abstractmethod
    async def list_promotions(self, request: pricing_pb2.ListPromotionsRequest, call: Call) -> pricing_pb2.ListPromotionsResponse: ...

    @abc.abstractmethod
    async def get_customer_standing(self, request: pricing_pb2.GetCustomerStandingRequest, call: Call) -> pricing_pb2.CustomerStanding: ...

    @abc.abstractmethod
    async def get_demand_history(self, request: pricing_pb2.GetDemandHistoryRequest, call: Call) -> pricing_pb2.GetDemandHistoryResponse: ...
