"""Promotions, as the contract and the domain say them."""

from datetime import UTC, datetime
from functools import lru_cache

from agora.pricing.domain.campaign import Campaign
from agora.pricing.domain.promotions import Bundle, BuyGetFree, PercentOff, ProductSet, Promotion, Threshold
from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.contract import timestamp


def promotion_from(message: pb.Promotion) -> Promotion:
    return Promotion(
        promotion_id=message.promotion_id,
        terms=_terms_from(message),
        exclusivity_group=message.exclusivity_group,
        coupon_code=message.coupon_code,
        name=message.name,
    )


def _terms_from(message: pb.Promotion) -> PercentOff | BuyGetFree | Bundle | Threshold:
    """The contract's rules have made sure that there is one of the four."""
    match message.WhichOneof("kind"):
        case "percent_off":
            percent = message.percent_off
            return PercentOff(_set_from(percent.products), percent.basis_points)
        case "buy_get_free":
            run = message.buy_get_free
            return BuyGetFree(_set_from(run.products), run.buy, run.free, run.max_applications)
        case "bundle":
            bundle = message.bundle
            return Bundle(tuple(bundle.product_ids), bundle.price_minor_units, bundle.max_applications)
        case _:
            off = message.threshold
            return Threshold(_set_from(off.products), off.minimum_minor_units, off.amount_minor_units, off.basis_points)


def _set_from(message: pb.ProductSet) -> ProductSet:
    return ProductSet(frozenset(message.category_ids), frozenset(message.product_ids))


@lru_cache(maxsize=1024)
def promotion_to(promotion: Promotion) -> pb.Promotion:
    """The same message for the same promotion: to be copied into answers, not changed."""
    message = pb.Promotion(
        promotion_id=promotion.promotion_id,
        name=promotion.name,
        exclusivity_group=promotion.exclusivity_group,
        coupon_code=promotion.coupon_code,
    )
    match promotion.terms:
        case PercentOff(products, basis_points):
            message.percent_off.CopyFrom(pb.PercentOff(products=_set_to(products), basis_points=basis_points))
        case BuyGetFree(products, buy, free, limit):
            message.buy_get_free.CopyFrom(
                pb.BuyGetFree(products=_set_to(products), buy=buy, free=free, max_applications=limit)
            )
        case Bundle(product_ids, price, limit):
            message.bundle.CopyFrom(pb.Bundle(product_ids=product_ids, price_minor_units=price, max_applications=limit))
        case Threshold(products, minimum, amount, basis_points):
            message.threshold.CopyFrom(pb.Threshold(products=_set_to(products), minimum_minor_units=minimum))
            if amount:
                message.threshold.amount_minor_units = amount
            else:
                message.threshold.basis_points = basis_points
    return message


def _set_to(products: ProductSet) -> pb.ProductSet:
    return pb.ProductSet(category_ids=sorted(products.categories), product_ids=sorted(products.products))


def campaign_from(record: pb.PromotionRecord) -> Campaign:
    return Campaign(
        promotion=promotion_from(record.promotion),
        start_time=_time_from(record, "start_time"),
        end_time=_time_from(record, "end_time"),
        redemption_limit=record.redemption_limit,
        redemption_limit_per_user=record.redemption_limit_per_user,
        redemptions=record.redemptions,
    )


def _time_from(record: pb.PromotionRecord, field: str) -> datetime | None:
    if not record.HasField(field):  # type: ignore[arg-type]
        return None
    time: datetime = getattr(record, field).ToDatetime(tzinfo=UTC)
    return time


def campaign_to(campaign: Campaign) -> pb.PromotionRecord:
    return pb.PromotionRecord(
        promotion=promotion_to(campaign.promotion),
        redemption_limit=campaign.redemption_limit,
        redemption_limit_per_user=campaign.redemption_limit_per_user,
        redemptions=campaign.redemptions,
        start_time=None if campaign.start_time is None else timestamp(campaign.start_time),
        end_time=None if campaign.end_time is None else timestamp(campaign.end_time),
    )
