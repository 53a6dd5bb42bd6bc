"""What staff see of a customer that other contexts know: asked of their contracts, and missing when they are."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from agora_proto.orders.v1 import orders_pb2
from agora_proto.orders.v1.orders_tricorn import OrdersServiceClient
from agora_proto.pricing.v1 import pricing_pb2
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceClient
from tricorn.contract import Refusal
from tricorn.wire import Identity, call_scope

R = TypeVar("R")

_SECONDS = 1.5
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """``tier`` as staff read it: "silver"."""

    spent_minor_units: int
    tier: str


@dataclass(frozen=True, slots=True)
class Orders:
    """``count`` goes up to a page; ``more`` says that there are others."""

    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class CustomerCard:
    """None stands for what could not be learnt in time."""

    standing: Standing | None
    orders: Orders | None


class Customers:
    def __init__(self, promotions: PromotionsServiceClient, orders: OrdersServiceClient) -> None:
        self._promotions = promotions
        self._orders = orders

    async def card(self, user_id: str) -> CustomerCard:
        """What is known of a customer within two seconds; never an error."""
        standing, orders = await asyncio.gather(_or_none(self._standing(user_id)), _or_none(self._orders_of(user_id)))
        return CustomerCard(standing, orders)

    async def _standing(self, user_id: str) -> Standing:
        with call_scope(timeout=_SECONDS):
            answer = await self._promotions.get_customer_standing(
                pricing_pb2.GetCustomerStandingRequest(user_id=user_id)
            )
        tier = pricing_pb2.Tier.Name(answer.tier).removeprefix("TIER_").lower()
        return Standing(answer.spent_minor_units, tier)

    async def _orders_of(self, user_id: str) -> Orders:
        # A customer's orders are shown to the customer only, so staff look at them in the customer's name.
        customer = Identity(user_id, "", frozenset())
        with call_scope(identity=customer, timeout=_SECONDS):
            answer = await self._orders.list_orders(orders_pb2.ListOrdersRequest(page_size=_PAGE))
        return Orders(len(answer.orders), bool(answer.next_page_token))


async def _or_none(asked: Awaitable[R]) -> R | None:
    try:
        return await asked
    except Refusal:
        return None
