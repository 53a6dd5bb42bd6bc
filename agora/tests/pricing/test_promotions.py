"""Promotions and their coupons."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from agora_proto.pricing.v1 import pricing_pb2 as pb
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceClient
from tricorn.clock import ManualClock
from tricorn.contract import Refusal
from tricorn.host.testing import TestApp

ALICE = "aaaaaaaa-0000-4000-8000-000000000001"
BOB = "bbbbbbbb-0000-4000-8000-000000000002"


def record(name: str = "spring", *, coupon: str = "", limit: int = 0, per_user: int = 0) -> pb.PromotionRecord:
    return pb.PromotionRecord(
        promotion=pb.Promotion(
            promotion_id=name, name=name, coupon_code=coupon, percent_off=pb.PercentOff(basis_points=1000)
        ),
        redemption_limit=limit,
        redemption_limit_per_user=per_user,
    )


async def create(promotions: PromotionsServiceClient, made: pb.PromotionRecord) -> pb.PromotionRecord:
    return await promotions.create_promotion(pb.CreatePromotionRequest(record=made))


async def redeem(promotions: PromotionsServiceClient, key: str, *codes: str, user: str = ALICE) -> None:
    await promotions.redeem_coupons(pb.RedeemCouponsRequest(key=key, coupon_codes=codes, user_id=user))


async def redemptions(promotions: PromotionsServiceClient) -> dict[str, int]:
    answer = await promotions.list_promotions(pb.ListPromotionsRequest())
    return {each.promotion.promotion_id: each.redemptions for each in answer.records}


async def in_force(promotions: PromotionsServiceClient, *codes: str, user: str = ALICE) -> list[str]:
    inputs = await promotions.get_pricing_inputs(pb.GetPricingInputsRequest(user_id=user, coupon_codes=codes))
    return [each.promotion_id for each in inputs.promotions]


@pytest.mark.parametrize(
    "kind",
    [
        pb.Promotion(percent_off=pb.PercentOff(products=pb.ProductSet(category_ids=["a", "b"]), basis_points=500)),
        pb.Promotion(
            buy_get_free=pb.BuyGetFree(products=pb.ProductSet(product_ids=["x"]), buy=2, free=1, max_applications=3)
        ),
        pb.Promotion(bundle=pb.Bundle(product_ids=["y", "x"], price_minor_units=1500, max_applications=1)),
        pb.Promotion(
            threshold=pb.Threshold(products=pb.ProductSet(), minimum_minor_units=5000, amount_minor_units=500)
        ),
        pb.Promotion(threshold=pb.Threshold(products=pb.ProductSet(), minimum_minor_units=5000, basis_points=500)),
    ],
)
async def test_a_promotion_of_each_kind_is_read_back_as_it_was_created(
    promotions: PromotionsServiceClient, clock: ManualClock, kind: pb.Promotion
) -> None:
    made = record(coupon="SPRING", limit=5, per_user=1)
    made.promotion.ClearField("percent_off")
    made.promotion.MergeFrom(kind)
    made.promotion.exclusivity_group = "group"
    made.start_time.FromDatetime(clock.now())
    made.end_time.FromDatetime(clock.now() + timedelta(days=1))

    created = await create(promotions, made)

    listed = await promotions.list_promotions(pb.ListPromotionsRequest())
    inputs = await promotions.get_pricing_inputs(pb.GetPricingInputsRequest(coupon_codes=["SPRING"]))
    assert created == made
    assert list(listed.records) == [made]
    assert list(inputs.promotions) == [made.promotion]


async def test_creating_a_promotion_twice_is_creating_it_once(promotions: PromotionsServiceClient) -> None:
    first = await create(promotions, record(coupon="SPRING"))
    await redeem(promotions, "order", "SPRING")

    second = await create(promotions, record(coupon="SPRING"))

    assert second.promotion == first.promotion
    assert await redemptions(promotions) == {"spring": 1}


async def test_another_promotion_cannot_take_an_id_or_a_coupon_that_is_taken(
    promotions: PromotionsServiceClient,
) -> None:
    await create(promotions, record(coupon="SPRING"))

    with pytest.raises(Refusal) as same_id:
        await create(promotions, record(coupon="AUTUMN"))
    with pytest.raises(Refusal) as same_coupon:
        await create(promotions, record("autumn", coupon="SPRING"))

    assert (same_id.value.reason, same_coupon.value.reason) == ("ALREADY_EXISTS", "ALREADY_EXISTS")
    assert await redemptions(promotions) == {"spring": 0}


async def test_a_promotion_that_ends_before_it_begins_is_refused(
    promotions: PromotionsServiceClient, clock: ManualClock
) -> None:
    made = record()
    made.start_time.FromDatetime(clock.now())
    made.end_time.FromDatetime(clock.now())

    with pytest.raises(Refusal) as refused:
        await create(promotions, made)

    assert refused.value.reason == "INVALID_ARGUMENT"
    assert [violation.field for violation in refused.value.violations] == ["record.end_time"]


async def test_promotions_hold_from_their_start_until_their_end(
    promotions: PromotionsServiceClient, clock: ManualClock
) -> None:
    made = record()
    made.start_time.FromDatetime(clock.now() + timedelta(hours=1))
    made.end_time.FromDatetime(clock.now() + timedelta(hours=2))
    await create(promotions, made)

    seen = [await in_force(promotions)]
    for _ in range(2):
        clock.advance(3600)
        seen.append(await in_force(promotions))

    assert seen == [[], ["spring"], []]


async def test_a_coupon_outside_its_time_is_invalid(promotions: PromotionsServiceClient, clock: ManualClock) -> None:
    made = record(coupon="SPRING")
    made.end_time.FromDatetime(clock.now() + timedelta(hours=1))
    await create(promotions, made)
    clock.advance(3600)

    with pytest.raises(Refusal) as quoted:
        await in_force(promotions, "SPRING")
    with pytest.raises(Refusal) as redeemed:
        await redeem(promotions, "order", "SPRING")

    assert (quoted.value.reason, redeemed.value.reason) == ("COUPON_INVALID", "COUPON_INVALID")


async def test_coupons_are_in_force_only_for_who_names_them(promotions: PromotionsServiceClient) -> None:
    await create(promotions, record("open"))
    await create(promotions, record("gated", coupon="SPRING"))

    assert await in_force(promotions) == ["open"]
    assert await in_force(promotions, "SPRING") == ["gated", "open"]
    with pytest.raises(Refusal) as refused:
        await in_force(promotions, "SPRING", "NOT-THERE")
    assert (refused.value.reason, refused.value.metadata["coupon_code"]) == ("COUPON_INVALID", "NOT-THERE")


async def test_a_promotion_created_elsewhere_is_in_force_within_seconds(
    app: TestApp, promotions: PromotionsServiceClient, clock: ManualClock
) -> None:
    assert await in_force(promotions) == []
    await app.admin.execute(
        "INSERT INTO pricing.promotion (promotion_id, name, terms)"
        """ VALUES ('p', 'p', '{"kind": "percent_off", "basis_points": 500}')"""
    )

    assert await in_force(promotions) == []
    clock.advance(5)

    assert await in_force(promotions) == ["p"]


async def test_of_fifty_redemptions_at_once_as_many_succeed_as_the_limit_allows(
    promotions: PromotionsServiceClient,
) -> None:
    await create(promotions, record(coupon="SPRING", limit=7))

    outcomes = await asyncio.gather(
        *(redeem(promotions, f"order-{n}", "SPRING", user=str(uuid4())) for n in range(50)), return_exceptions=True
    )

    refusals = [outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)]
    assert refusals == ["COUPON_EXHAUSTED"] * 43
    assert await redemptions(promotions) == {"spring": 7}


async def test_of_fifty_redemptions_of_one_customer_as_many_succeed_as_one_may(
    promotions: PromotionsServiceClient,
) -> None:
    await create(promotions, record(coupon="SPRING", per_user=3))
    await redeem(promotions, "bob", "SPRING", user=BOB)

    outcomes = await asyncio.gather(
        *(redeem(promotions, f"order-{n}", "SPRING") for n in range(50)), return_exceptions=True
    )

    refusals = [outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)]
    assert refusals == ["COUPON_EXHAUSTED"] * 47
    assert await redemptions(promotions) == {"spring": 4}


async def test_one_key_counts_once_however_often_and_at_once_it_is_used(promotions: PromotionsServiceClient) -> None:
    await create(promotions, record(coupon="SPRING", limit=7))

    await asyncio.gather(*(redeem(promotions, "order", "SPRING") for _ in range(50)))

    assert await redemptions(promotions) == {"spring": 1}


async def test_coupons_are_redeemed_all_or_none(promotions: PromotionsServiceClient) -> None:
    await create(promotions, record("a", coupon="A"))
    await create(promotions, record("b", coupon="B", limit=1))
    await redeem(promotions, "earlier", "B", user=BOB)

    with pytest.raises(Refusal) as refused:
        await redeem(promotions, "order", "A", "B")
    await redeem(promotions, "order", "A")

    assert refused.value.reason == "COUPON_EXHAUSTED"
    assert await redemptions(promotions) == {"a": 1, "b": 1}


async def test_orders_that_name_the_same_coupons_in_different_order_do_not_wait_for_each_other(
    promotions: PromotionsServiceClient,
) -> None:
    await create(promotions, record("a", coupon="A"))
    await create(promotions, record("b", coupon="B"))

    await asyncio.gather(*(redeem(promotions, f"order-{n}", *(("A", "B") if n % 2 else ("B", "A"))) for n in range(20)))
    await asyncio.gather(
        *(promotions.release_coupons(pb.ReleaseCouponsRequest(key=f"order-{n}")) for n in range(10)),
        *(redeem(promotions, f"later-{n}", "B", "A") for n in range(10)),
    )

    assert await redemptions(promotions) == {"a": 20, "b": 20}


async def test_a_key_used_for_something_else_is_refused(promotions: PromotionsServiceClient) -> None:
    await create(promotions, record("a", coupon="A"))
    await create(promotions, record("b", coupon="B"))
    await redeem(promotions, "order", "A", "B")

    await redeem(promotions, "order", "B", "A")
    with pytest.raises(Refusal) as other_coupons:
        await redeem(promotions, "order", "A")
    with pytest.raises(Refusal) as other_user:
        await redeem(promotions, "order", "A", "B", user=BOB)

    assert (other_coupons.value.reason, other_user.value.reason) == ("IDEMPOTENCY_KEY_REUSED",) * 2
    assert await redemptions(promotions) == {"a": 1, "b": 1}


async def test_a_released_coupon_can_be_redeemed_again_but_not_with_its_key(
    promotions: PromotionsServiceClient,
) -> None:
    await create(promotions, record(coupon="SPRING", limit=1, per_user=1))
    await redeem(promotions, "order", "SPRING")

    await asyncio.gather(*(promotions.release_coupons(pb.ReleaseCouponsRequest(key="order")) for _ in range(5)))
    with pytest.raises(Refusal) as again:
        await redeem(promotions, "order", "SPRING")
    await redeem(promotions, "another", "SPRING")

    assert again.value.reason == "INVALID_STATE"
    assert await redemptions(promotions) == {"spring": 1}


async def test_a_release_that_overtakes_its_redemption_wins(promotions: PromotionsServiceClient) -> None:
    await create(promotions, record(coupon="SPRING"))

    await promotions.release_coupons(pb.ReleaseCouponsRequest(key="order"))
    with pytest.raises(Refusal) as late:
        await redeem(promotions, "order", "SPRING")

    assert late.value.reason == "INVALID_STATE"
    assert await redemptions(promotions) == {"spring": 0}


async def test_a_used_up_coupon_is_refused_already_when_inputs_are_asked_for(
    promotions: PromotionsServiceClient,
) -> None:
    await create(promotions, record(coupon="SPRING", per_user=1))
    await redeem(promotions, "order", "SPRING")

    with pytest.raises(Refusal) as refused:
        await in_force(promotions, "SPRING")

    assert refused.value.reason == "COUPON_EXHAUSTED"
    assert await in_force(promotions, "SPRING", user=BOB) == ["spring"]
