"""What orders change: demand, and the customer's tier."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from agora_proto.orders.v1.events_pb2 import OrderCancelled, OrderPlaced, OrderPlacedLine
from agora_proto.pricing.v1 import pricing_pb2 as pb
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceClient
from agora_proto.v1.money_pb2 import Money
from tricorn.clock import ManualClock
from tricorn.host.testing import TestApp

ALICE = "aaaaaaaa-0000-4000-8000-000000000001"
FILM = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"

Place = Callable[..., Awaitable[OrderPlaced]]


def usd(minor_units: int) -> Money:
    return Money(currency="USD", minor_units=minor_units)


@pytest.fixture
def place(app: TestApp) -> Place:
    """An order of Alice's, as the context of orders announces it; here pricing's own outbox carries it."""

    async def place(total: int, **units: int) -> OrderPlaced:
        products = {"film": FILM, "other": OTHER}
        lines = [
            OrderPlacedLine(product_id=products[name], quantity=count, total=usd(900 * count), unit_price=usd(1000))
            for name, count in units.items()
        ]
        event = OrderPlaced(order_id=str(uuid4()), user_id=ALICE, lines=lines, total=usd(total))
        await announce(app, event)
        return event

    return place


async def announce(app: TestApp, *events: OrderPlaced | OrderCancelled) -> None:
    async with app.host("pricing").begin(lambda connection: connection)() as work:
        for event in events:
            await work.publish(event, subject=event.order_id)
    await app.deliver_events()


async def inputs(promotions: PromotionsServiceClient) -> tuple[int, dict[str, int]]:
    answer = await promotions.get_pricing_inputs(
        pb.GetPricingInputsRequest(product_ids=[OTHER, FILM], user_id=ALICE, without_promotions=True)
    )
    return answer.tier, {each.product_id: each.demand_basis_points for each in answer.demands}


async def test_one_purchase_changes_both_demand_and_tier(promotions: PromotionsServiceClient, place: Place) -> None:
    before = await inputs(promotions)

    await place(20_000, film=5)

    # 10000 x 4 x (5 + 10) / (5 + 40) = 13333.3
    assert before == (pb.TIER_BASIC, {OTHER: 10_000, FILM: 10_000})
    assert await inputs(promotions) == (pb.TIER_SILVER, {OTHER: 10_000, FILM: 13_333})


async def test_a_cancelled_order_is_taken_back_once(
    app: TestApp, promotions: PromotionsServiceClient, place: Place
) -> None:
    await place(20_000, film=1)
    placed = await place(80_000, film=3, other=2)
    assert (await inputs(promotions))[0] == pb.TIER_GOLD
    cancelled = OrderCancelled(order_id=placed.order_id, user_id=ALICE, lines=placed.lines, total=placed.total)

    await announce(app, cancelled)
    await announce(app, cancelled)

    # 10000 x 4 x 11 / 41 = 10731.7
    assert await inputs(promotions) == (pb.TIER_SILVER, {OTHER: 10_000, FILM: 10_732})
    standing = await promotions.get_customer_standing(pb.GetCustomerStandingRequest(user_id=ALICE.upper()))
    assert standing == pb.CustomerStanding(user_id=ALICE, spent_minor_units=20_000, tier=pb.TIER_SILVER)


async def test_orders_that_are_counted_together_count_as_they_would_alone(
    app: TestApp, promotions: PromotionsServiceClient
) -> None:
    line = OrderPlacedLine(product_id=FILM, quantity=2, unit_price=usd(1000))
    placed = [
        OrderPlaced(order_id=str(uuid4()), user_id=ALICE, lines=[line] * lines, total=usd(10_000))
        for lines in (1, 2, 0)
    ]
    cancelled = OrderCancelled(order_id=placed[1].order_id, user_id=ALICE, lines=placed[1].lines, total=usd(10_000))

    await announce(app, placed[0], *placed, cancelled)

    # 10000 x 4 x (2 + 10) / (2 + 40) = 11428.6
    assert await inputs(promotions) == (pb.TIER_SILVER, {OTHER: 10_000, FILM: 11_429})
    standing = await promotions.get_customer_standing(pb.GetCustomerStandingRequest(user_id=ALICE))
    assert standing.spent_minor_units == 20_000


async def test_an_order_that_is_announced_twice_counts_once(
    app: TestApp, promotions: PromotionsServiceClient, place: Place
) -> None:
    placed = await place(100, film=5)

    await announce(app, placed)

    assert (await inputs(promotions))[1][FILM] == 13_333


async def test_the_cancellation_of_an_order_that_never_was_changes_nothing(
    app: TestApp, promotions: PromotionsServiceClient
) -> None:
    line = OrderPlacedLine(product_id=FILM, quantity=1, unit_price=usd(1000))

    await announce(app, OrderCancelled(order_id=str(uuid4()), user_id=ALICE, lines=[line], total=usd(1000)))

    assert await inputs(promotions) == (pb.TIER_BASIC, {OTHER: 10_000, FILM: 10_000})


async def test_demand_falls_below_the_ordinary_and_returns_to_it_as_the_days_go_by(
    promotions: PromotionsServiceClient, place: Place, clock: ManualClock
) -> None:
    await place(100, film=40)

    seen = []
    for days in (6, 1, 20, 1):
        clock.advance(timedelta(days=days).total_seconds())
        seen.append((await inputs(promotions))[1][FILM])

    # The last day of the week, then 10000 x 4 x 10 / 80 held at the lowest for the rest of the four weeks.
    assert seen == [15_000, 8_000, 8_000, 10_000]


async def test_the_history_gives_each_day_with_its_mean_price(
    app: TestApp, promotions: PromotionsServiceClient, clock: ManualClock
) -> None:
    today = clock.now().date()
    rows = [(FILM, today - timedelta(days=days), units, revenue) for days, units, revenue in (
        (10, 4, 4_000), (3, 2, 2_001), (1, 0, 0), (0, 3, 3_002),
    )]  # fmt: skip
    await app.database("pricing").executemany("INSERT INTO demand_day VALUES ($1, $2, $3, $4)", rows)

    all_days = await promotions.get_demand_history(pb.GetDemandHistoryRequest(product_ids=[OTHER, FILM]))
    four_days = await promotions.get_demand_history(pb.GetDemandHistoryRequest(product_ids=[FILM], days=4))

    (history,) = all_days.histories
    assert (history.product_id, history.current_minor_units) == (FILM, 1001)
    assert [(each.price_minor_units, each.units) for each in history.points] == [(1000, 4), (1000, 2), (1001, 3)]
    assert [each.units for each in four_days.histories[0].points] == [2, 3]


async def test_nobody_in_particular_has_the_basic_tier(promotions: PromotionsServiceClient) -> None:
    answer = await promotions.get_pricing_inputs(pb.GetPricingInputsRequest())

    assert answer == pb.PricingInputs(tier=pb.TIER_BASIC)
