import asyncio
import json

import pytest
from market import FEW, MANY, Market, order

from agora_proto.orders.v1 import orders_pb2 as orders
from agora_proto.storefront.v1 import storefront_pb2 as storefront
from agora_proto.v1.money_pb2 import Money
from tricorn.contract import PlatformReason, Refusal

State = orders.Order.State


async def test_an_order_is_placed_then_completed(market: Market) -> None:
    placed = await market.orders.create_order(order([(MANY, 2)]))
    done = await market.settled(placed.order_id)

    assert State.Name(placed.state) == "STATE_CONFIRMED"
    assert State.Name(done.state) == "STATE_COMPLETED"
    # 19.99 less 5 % for the basic tier is 18.9905, half to even 18.99; twice.
    assert placed.total == Money(currency="USD", minor_units=3798)
    assert await market.stock(MANY) == (98, 0, 2)
    assert await market.payment_states() == ["CAPTURED"]
    assert await market.books_balance()


async def test_the_agreed_total_is_what_is_paid(market: Market) -> None:
    quote = await market.storefront.create_quote(
        storefront.CreateQuoteRequest(lines=[storefront.QuoteLine(product_id=FEW, quantity=1)])
    )
    request = order([(FEW, 1)])
    request.expected_total.CopyFrom(quote.total)

    placed = await market.orders.create_order(request)

    assert placed.total == quote.total


async def test_another_total_than_the_agreed_one_is_refused_with_the_new_one(market: Market) -> None:
    request = order([(MANY, 1)])
    request.expected_total.CopyFrom(Money(currency="USD", minor_units=1))

    with pytest.raises(Refusal) as caught:
        await market.orders.create_order(request)

    assert (caught.value.reason, caught.value.metadata["total_minor_units"]) == ("PRICE_CHANGED", "1899")
    assert json.loads(caught.value.metadata["quote"])["total"] == {"currency": "USD", "minorUnits": "1899"}
    assert await market.stock(MANY) == (100, 0, 0)


@pytest.mark.parametrize(
    ("method", "reason"), [("test_declined", "PAYMENT_DECLINED"), ("test_insufficient_funds", "INSUFFICIENT_FUNDS")]
)
async def test_a_refused_payment_gives_the_stock_back_and_is_remembered(
    market: Market, method: str, reason: str
) -> None:
    request = order(method=method)

    for _ in range(2):
        with pytest.raises(Refusal, match=reason):
            await market.orders.create_order(request)

    assert await market.stock(MANY) == (100, 0, 0)
    assert await market.payment_states() == ["DECLINED"]


async def test_more_than_there_is_cannot_be_bought(market: Market) -> None:
    with pytest.raises(Refusal) as caught:
        await market.orders.create_order(order([(FEW, 6)]))

    assert (caught.value.reason, caught.value.metadata["product_id"]) == ("OUT_OF_STOCK", FEW)


async def test_the_last_units_go_to_as_many_buyers_as_there_are_units(market: Market) -> None:
    answers = await asyncio.gather(
        *(market.orders.create_order(order([(FEW, 1)])) for _ in range(12)), return_exceptions=True
    )
    placed = [answer for answer in answers if isinstance(answer, orders.Order)]
    for each in placed:
        await market.settled(each.order_id)

    refused = [answer.reason for answer in answers if isinstance(answer, Refusal)]
    assert (len(placed), refused) == (5, ["OUT_OF_STOCK"] * 7)
    assert await market.stock(FEW) == (0, 0, 5)
    assert await market.books_balance()


async def test_two_requests_with_one_key_at_once_give_one_order(market: Market) -> None:
    request = order(key="same")

    answers = await asyncio.gather(*(market.orders.create_order(request) for _ in range(6)))
    await market.settled(answers[0].order_id)

    assert len({answer.order_id for answer in answers}) == 1
    assert await market.stock(MANY) == (98, 0, 2)
    assert await market.payment_states() == ["CAPTURED"]


def _be_out_of_order(market: Market, method: str) -> None:
    async def fail(*_: object) -> None:
        raise Refusal(PlatformReason.UNAVAILABLE, "out of order")

    handlers = market.app.process.service._handlers
    handlers[method] = (handlers[method][0], fail)


async def test_an_answered_key_is_answered_again_when_nothing_can_be_priced(market: Market) -> None:
    placed = await market.orders.create_order(order(key="k"))
    _be_out_of_order(market, "agora.storefront.v1.StorefrontService/CreateQuote")

    again = await market.orders.create_order(order(key="k"))
    with pytest.raises(Refusal, match="UNAVAILABLE"):
        await market.orders.create_order(order(key="another"))

    assert again.order_id == placed.order_id


async def test_a_key_stands_for_one_request(market: Market) -> None:
    await market.orders.create_order(order([(MANY, 1)], key="k"))

    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await market.orders.create_order(order([(MANY, 2)], key="k"))


async def test_keys_of_different_buyers_have_nothing_to_do_with_each_other(market: Market) -> None:
    mine = await market.orders.create_order(order(key="k"))
    theirs = await market.others_orders.create_order(order(key="k"))

    assert mine.order_id != theirs.order_id


async def test_a_lost_answer_of_the_acquirer_does_not_charge_twice(market: Market) -> None:
    placed = await market.orders.create_order(order(method="test_answer_lost"))
    await market.settled(placed.order_id)

    assert await market.payment_states() == ["CAPTURED"]
    assert await market.books_balance()


async def test_a_buyer_who_hangs_up_has_bought_all_the_same(market: Market) -> None:
    buying = asyncio.create_task(market.orders.create_order(order()))
    while not await market.app.admin.fetchval("SELECT count(*) FROM orders.orders"):  # noqa: ASYNC110 - only the database shows it
        await asyncio.sleep(0)
    buying.cancel()
    await asyncio.wait([buying])

    done = await market.settled(await market.only_order())

    assert State.Name(done.state) == "STATE_COMPLETED"
