"""What the tests of orders do and look at."""

import asyncio
import uuid
from collections.abc import Sequence

from agora_proto.orders.v1 import orders_pb2 as orders
from agora_proto.orders.v1.orders_tricorn import OrdersServiceClient
from agora_proto.payments.v1 import payments_pb2 as payments
from agora_proto.payments.v1.payments_tricorn import PaymentsServiceClient
from agora_proto.storefront.v1 import storefront_pb2 as storefront
from agora_proto.storefront.v1.storefront_tricorn import StorefrontServiceClient
from tricorn.host.testing import TestApp
from tricorn.wire import Identity

CONTEXTS = ("orders", "inventory", "payments", "pricing", "catalog", "storefront")
MANY = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
FEW = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
SELLER = "55555555-5555-4555-8555-555555555555"
BUYER = Identity("66666666-6666-4666-8666-666666666666", "session", frozenset())
OTHER = Identity("77777777-7777-4777-8777-777777777777", "session", frozenset())
SETTLED = {orders.Order.STATE_COMPLETED, orders.Order.STATE_CANCELLED, orders.Order.STATE_REFUSED}


def order(
    lines: Sequence[tuple[str, int]] = ((MANY, 2),),
    *,
    key: str = "",
    method: str = "test_ok",
    coupons: Sequence[str] = (),
) -> orders.CreateOrderRequest:
    """A request at whatever it costs."""
    return orders.CreateOrderRequest(
        lines=[storefront.QuoteLine(product_id=product, quantity=quantity) for product, quantity in lines],
        coupons=coupons,
        payment_method=method,
        accept_current_price=True,
        idempotency_key=key or str(uuid.uuid4()),
    )


class Market:
    def __init__(self, app: TestApp) -> None:
        self.app = app
        self.orders = app.client(OrdersServiceClient, user=BUYER)
        self.others_orders = app.client(OrdersServiceClient, user=OTHER)
        self.storefront = app.client(StorefrontServiceClient, user=BUYER)
        self._payments = app.client(PaymentsServiceClient)

    async def settled(self, order_id: str) -> orders.Order:
        """Follows an order to its end."""
        last = orders.Order()
        async with asyncio.timeout(20):
            async for answer in self.orders.watch_order(orders.WatchOrderRequest(order_id=order_id)):
                last = answer.order
        return last

    async def stock(self, product: str) -> tuple[int, int, int]:
        """(available, held, sold)."""
        row = await self.app.admin.fetchrow(
            "SELECT sum(available)::int, sum(held)::int, sum(sold)::int FROM inventory.stock WHERE product_id = $1",
            product,
        )
        assert row is not None
        return row[0], row[1], row[2]

    async def payment_states(self) -> list[str]:
        rows = await self.app.admin.fetch("SELECT state FROM payments.payment ORDER BY payment_id")
        return [row[0] for row in rows]

    async def acquirer_states(self) -> list[str]:
        """What became of the authorisations, by the acquirer's own memory."""
        rows = await self.app.admin.fetch("SELECT state FROM payments.acquirer_authorisation ORDER BY reference")
        return [row[0] for row in rows]

    async def books_balance(self) -> bool:
        """Whether the ledger's sums are zero and nothing in it was tampered with."""
        audit = await self._payments.audit_ledger(payments.AuditLedgerRequest())
        return audit.intact and all(money.minor_units == 0 for money in audit.sums)

    async def announced(self) -> int:
        """How many events of orders there were."""
        return int(await self.app.admin.fetchval("SELECT count(*) FROM orders.outbox"))

    async def leases_end(self) -> None:
        """As if their holders had died a while ago."""
        await self.app.admin.execute("UPDATE orders.orders SET lease_until = clock_timestamp() - interval '1 second'")

    async def only_order(self) -> str:
        return str(await self.app.admin.fetchval("SELECT order_id FROM orders.orders"))
