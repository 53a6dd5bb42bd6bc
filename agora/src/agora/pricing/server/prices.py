"""The pure contract: prices of products and baskets, repricing."""

from collections.abc import Awaitable, Callable
from typing import Any

from agora.pricing.domain.basket import each_once, price_basket
from agora.pricing.domain.lines import Tier, discount_basis_points, scarcity_basis_points, unit_price
from agora.pricing.domain.promotions import BasketPrice, Line
from agora.pricing.domain.repricing import History, Repriced, reprice
from agora.pricing.server.convert import promotion_from
from agora_proto.pricing.v1 import pricing_pb2 as pb
from agora_proto.pricing.v1.pricing_tricorn import PricingServiceBase
from tricorn.wire import Call

Elsewhere = Callable[..., Awaitable[Any]]
"""Computes a pure function in another process."""

_STEPS_HERE = 1_000
"""The search of a basket gets so many steps (about 2 ms) in this process before it is begun anew in another."""
_UNITS_HERE = 100
_PROMOTIONS_HERE = 24
_POINTS_HERE = 2_000


class PricingServer(PricingServiceBase):
    def __init__(self, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere

    async def price_products(self, request: pb.PriceProductsRequest, call: Call) -> pb.PriceProductsResponse:
        tier = Tier(request.tier)
        return pb.PriceProductsResponse(prices=[_product_price(product, tier) for product in request.products])

    async def price_basket(self, request: pb.PriceBasketRequest, call: Call) -> pb.PriceBasketResponse:
        tier = Tier(request.tier)
        lines = [
            Line(line.product.product_id, line.quantity, _unit_price(line.product, tier), frozenset(line.category_ids))
            for line in request.lines
        ]
        promotions = [promotion_from(each) for each in request.promotions]
        each_once(lines, promotions)
        basket = (lines, promotions, frozenset(request.coupon_codes))
        price = None
        if sum(line.quantity for line in lines) <= _UNITS_HERE and len(promotions) <= _PROMOTIONS_HERE:
            price = price_basket(*basket, min(request.step_budget or _STEPS_HERE, _STEPS_HERE))
        if price is None or not (price.exact or 0 < request.step_budget <= _STEPS_HERE):
            price = await self._elsewhere(price_basket, *basket, request.step_budget)
        return _answer(request, lines, price)

    async def reprice_catalogue(self, request: pb.RepriceCatalogueRequest, call: Call) -> pb.RepriceCatalogueResponse:
        histories = [
            History(
                each.product_id,
                each.current_minor_units,
                tuple((point.price_minor_units, point.units) for point in each.points),
            )
            for each in request.histories
        ]
        work = (histories, request.max_change_basis_points, request.grid_steps)
        if sum(len(each.points) + 2 * request.grid_steps for each in histories) <= _POINTS_HERE:
            repriced = reprice_all(*work)
        else:
            repriced = await self._elsewhere(reprice_all, *work)
        return pb.RepriceCatalogueResponse(
            repricings=[
                pb.Repricing(product_id=each.product_id, new_minor_units=each.price, elasticity=each.elasticity)
                for each in repriced
            ]
        )


def reprice_all(histories: list[History], max_change_basis_points: int, grid_steps: int) -> list[Repriced]:
    return [reprice(history, max_change_basis_points, grid_steps) for history in histories]


def _unit_price(product: pb.PricedProduct, tier: Tier) -> int:
    return unit_price(product.base_minor_units, product.available, product.demand_basis_points, tier)


def _product_price(product: pb.PricedProduct, tier: Tier) -> pb.ProductPrice:
    final = _unit_price(product, tier)
    return pb.ProductPrice(
        product_id=product.product_id,
        base_minor_units=product.base_minor_units,
        final_minor_units=final,
        discount_basis_points=discount_basis_points(product.base_minor_units, final),
        scarcity_basis_points=scarcity_basis_points(product.available),
    )


def _answer(request: pb.PriceBasketRequest, lines: list[Line], price: BasketPrice) -> pb.PriceBasketResponse:
    promotions = {promotion.promotion_id: promotion for promotion in request.promotions}
    return pb.PriceBasketResponse(
        lines=[
            pb.PricedLine(
                product_id=line.product_id,
                quantity=line.quantity,
                base_minor_units=asked.product.base_minor_units,
                unit_minor_units=line.unit,
                subtotal_minor_units=line.subtotal,
                discount_minor_units=discount,
                total_minor_units=line.subtotal - discount,
            )
            for asked, line, discount in zip(request.lines, lines, price.line_discounts, strict=True)
        ],
        applied=[
            pb.AppliedPromotion(
                promotion_id=promotion_id,
                name=promotions[promotion_id].name,
                coupon_code=promotions[promotion_id].coupon_code,
                applications=applied.applications,
                discount_minor_units=applied.discount,
            )
            for promotion_id, applied in price.applied.items()
        ],
        subtotal_minor_units=price.subtotal,
        discount_minor_units=price.discount,
        total_minor_units=price.total,
        exact=price.exact,
        steps=price.steps,
    )
