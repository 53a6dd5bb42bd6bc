import asyncio

import pytest
from market import MANY, Market, order

from agora_proto.orders.v1 import orders_pb2 as orders
from tricorn import failpoints
from tricorn.contract import Refusal

State = orders.Order.State


async def test_cancelling_refunds_and_restocks(market: Market) -> None:
    placed = await market.orders.create_order(order([(MANY, 3)]))
    await market.settled(placed.order_id)

    cancelled = await market.orders.cancel_order(orders.CancelOrderRequest(order_id=placed.order_id))

    assert State.Name(cancelled.state) == "STATE_CANCELLED"
    assert (await market.stock(MANY))[0] == 100
    assert await market.payment_states() == ["REFUNDED"]
    assert await market.books_balance()


async def test_cancelling_at_once_waits_for_the_order_to_be_done(market: Market) -> None:
    placed = await market.orders.create_order(order())

    cancelled = await market.orders.cancel_order(orders.CancelOrderRequest(order_id=placed.order_id))

    assert State.Name(cancelled.state) == "STATE_CANCELLED"
    assert (await market.stock(MANY))[0] == 100


async def test_what_was_taken_and_never_booked_is_given_back(market: Market) -> None:
    failpoints.arm("payments.capture.acquired=1*error")
    placed = await market.orders.create_order(order())
    async with asyncio.timeout(20):
        while await market.acquirer_states() != ["CAPTURED"]:  # noqa: ASYNC110 - only the database shows it
            await asyncio.sleep(0.01)
    await market.leases_end()

    cancelled = await market.orders.cancel_order(orders.CancelOrderRequest(order_id=placed.order_id))

    assert State.Name(cancelled.state) == "STATE_CANCELLED"
    assert (await market.stock(MANY))[0] == 100
    assert await market.payment_states() == ["REFUNDED"]
    assert await market.books_balance()


async def test_cancelling_twice_is_cancelling_once(market: Market) -> None:
    placed = await market.orders.create_order(order())
    await market.settled(placed.order_id)
    request = orders.CancelOrderRequest(order_id=placed.order_id)

    answers = await asyncio.gather(*(market.orders.cancel_order(request) for _ in range(4)))

    assert {State.Name(answer.state) for answer in answers} == {"STATE_CANCELLED"}
    assert (await market.stock(MANY))[0] == 100
    assert await market.payment_states() == ["REFUNDED"]


async def test_a_refused_order_cannot_be_cancelled(market: Market) -> None:
    with pytest.raises(Refusal):
        await market.orders.create_order(order(method="test_declined"))

    with pytest.raises(Refusal, match="INVALID_STATE"):
        await market.orders.cancel_order(orders.CancelOrderRequest(order_id=await market.only_order()))


async def test_somebody_elses_order_is_not_found(market: Market) -> None:
    placed = await market.orders.create_order(order())

    with pytest.raises(Refusal, match="NOT_FOUND"):
        await market.others_orders.get_order(orders.GetOrderRequest(order_id=placed.order_id))
    with pytest.raises(Refusal, match="NOT_FOUND"):
        await market.others_orders.cancel_order(orders.CancelOrderRequest(order_id=placed.order_id))
    assert not (await market.others_orders.list_orders(orders.ListOrdersRequest())).orders


async def test_pages_of_orders_are_newest_first_and_complete(market: Market) -> None:
    placed = [(await market.orders.create_order(order([(MANY, 1)]))).order_id for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = await market.orders.list_orders(orders.ListOrdersRequest(page_size=2, page_token=token))
        seen += [each.order_id for each in page.orders]
        token = page.next_page_token
        if not token:
            break

    assert seen == placed[::-1]


async def test_a_page_token_of_another_user_is_refused(market: Market) -> None:
    for _ in range(2):
        await market.orders.create_order(order([(MANY, 1)]))
    page = await market.orders.list_orders(orders.ListOrdersRequest(page_size=1))

    with pytest.raises(Refusal, match="PAGE_TOKEN_INVALID"):
        await market.others_orders.list_orders(orders.ListOrdersRequest(page_size=1, page_token=page.next_page_token))
