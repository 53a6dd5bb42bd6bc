"""What pricing announces, and what it learns from orders."""

from collections.abc import Iterable, Sequence

from agora.pricing.repository import PromotionsRepository
from agora_proto.orders.v1.events_pb2 import OrderCancelled, OrderPlaced, OrderPlacedLine
from agora_proto.pricing.v1.events_pb2 import PromotionCreated
from tricorn.events import EventMeta, Work


def created(promotion_id: str) -> PromotionCreated:
    return PromotionCreated(promotion_id=promotion_id)


async def on_orders_placed(placed: Sequence[tuple[OrderPlaced, EventMeta]], work: Work[PromotionsRepository]) -> None:
    """Counts the orders' units into the days they were placed (UTC) and their totals into the buyers' spending."""
    await work.repository.count_orders(
        [
            (event.order_id, event.user_id, meta.time.date(), event.total.minor_units, _sales(event.lines))
            for event, meta in placed
        ]
    )


async def on_order_cancelled(event: OrderCancelled, meta: EventMeta, work: Work[PromotionsRepository]) -> None:
    """Takes back what the order was counted for; an order that never was changes nothing."""
    counted = await work.repository.uncount_order(event.order_id)
    if counted is not None:
        user_id, day, spent = counted
        await work.repository.take_spending(user_id, spent)
        await work.repository.take_demand(day, _sales(event.lines))


def _sales(lines: Iterable[OrderPlacedLine]) -> list[tuple[str, int, int]]:
    return [(line.product_id, line.quantity, line.quantity * line.unit_price.minor_units) for line in lines]
