"""A worker fails at any step of an order; another takes it over, and everything has happened once."""

import asyncio

import pytest
from market import MANY, Market, order

from agora.orders.domain import State
from agora.orders.repository import OrdersRepository
from agora_proto.orders.v1 import orders_pb2 as orders
from agora_proto.orders.v1.events_pb2 import OrderCancelled, OrderPlaced
from tricorn import failpoints
from tricorn.contract import Refusal

STEPS = [
    "orders.created",
    "orders.reserved",
    "payments.authorise.acquired",
    "payments.authorise.booked",
    "orders.authorised",
    "orders.placed",
    "orders.stock_confirmed",
    "payments.capture.acquired",
    "payments.capture.booked",
    "orders.captured",
]


@pytest.mark.parametrize("step", STEPS)
async def test_an_order_whose_worker_failed_is_completed_once(market: Market, step: str) -> None:
    failpoints.arm(f"{step}=error")
    await asyncio.wait([asyncio.create_task(market.orders.create_order(order(key="k")))])
    failpoints.arm("")

    await market.leases_end()
    done = await market.settled(await market.only_order())

    assert orders.Order.State.Name(done.state) == "STATE_COMPLETED"
    assert await market.stock(MANY) == (98, 0, 2)
    assert await market.payment_states() == ["CAPTURED"]
    assert await market.books_balance()
    again = await market.orders.create_order(order(key="k"))
    assert again.order_id == done.order_id


@pytest.mark.parametrize("step", ["orders.refunded", "payments.refund.acquired", "payments.refund.booked"])
async def test_a_cancellation_whose_worker_failed_is_finished_once(market: Market, step: str) -> None:
    placed = await market.orders.create_order(order())
    await market.settled(placed.order_id)
    failpoints.arm(f"{step}=error")
    with pytest.raises(Refusal):
        await market.orders.cancel_order(orders.CancelOrderRequest(order_id=placed.order_id))
    failpoints.arm("")

    await market.leases_end()
    done = await market.settled(placed.order_id)

    assert orders.Order.State.Name(done.state) == "STATE_CANCELLED"
    assert (await market.stock(MANY))[0] == 100
    assert await market.payment_states() == ["REFUNDED"]


async def test_a_worker_that_wakes_up_after_a_takeover_changes_nothing(market: Market) -> None:
    failpoints.arm("orders.authorised=error")
    with pytest.raises(Refusal):
        await market.orders.create_order(order())
    failpoints.arm("")
    repository = OrdersRepository(market.app.database("orders"), market.app.host("orders").announce)
    stale = await repository.get(await market.only_order())
    await market.leases_end()
    await market.settled(await market.only_order())

    assert stale is not None
    announced = await market.announced()
    assert await repository.place(stale, stale.order_id, stale.order_id, OrderPlaced()) is None
    assert await repository.cancelled(stale, OrderCancelled()) is None
    assert await market.announced() == announced
    assert await repository.move(stale, State.CANCELLED, open_=False) is None


async def test_a_reservation_that_ran_out_before_the_takeover_refuses_the_order_and_undoes_it(market: Market) -> None:
    failpoints.arm("orders.authorised=error")
    with pytest.raises(Refusal):
        await market.orders.create_order(order())
    failpoints.arm("")
    await market.app.admin.execute("UPDATE inventory.reservation SET expire_time = now() - interval '1 second'")
    await _swept(market)

    await market.leases_end()
    done = await market.settled(await market.only_order())
    await _closed(market)

    assert (orders.Order.State.Name(done.state), done.failure) == ("STATE_REFUSED", "RESERVATION_EXPIRED")
    assert await market.stock(MANY) == (100, 0, 0)
    assert await market.payment_states() == ["VOIDED"]


async def test_a_reservation_that_ran_out_after_the_order_was_placed_is_made_again(market: Market) -> None:
    failpoints.arm("orders.placed=error")
    with pytest.raises(Refusal):
        await market.orders.create_order(order())
    failpoints.arm("")
    await market.app.admin.execute("UPDATE inventory.reservation SET expire_time = now() - interval '1 second'")
    await _swept(market)

    await market.leases_end()
    done = await market.settled(await market.only_order())

    assert orders.Order.State.Name(done.state) == "STATE_COMPLETED"
    assert await market.stock(MANY) == (98, 0, 2)
    assert await market.payment_states() == ["CAPTURED"]


async def _swept(market: Market) -> None:
    async with asyncio.timeout(20):
        while (await market.stock(MANY))[1]:  # noqa: ASYNC110 - only the database shows it
            await asyncio.sleep(0.05)


async def _closed(market: Market) -> None:
    async with asyncio.timeout(20):
        while await market.app.admin.fetchval("SELECT open FROM orders.orders"):  # noqa: ASYNC110 - only the database shows it
            await asyncio.sleep(0.05)
