"""What the tests of payments speak in."""

import uuid

from agora.payments.domain.payment import Money, Payment
from agora.payments.service import PaymentsService

BUYER = str(uuid.UUID(int=1))


def usd(minor_units: int) -> Money:
    return Money("USD", minor_units)


class Till:
    """Pays with few words; a key is used once unless it is named."""

    def __init__(self, service: PaymentsService) -> None:
        self.service = service
        self._count = 0

    def _key(self, key: str | None) -> str:
        self._count += 1
        return key or f"key-{self._count}"

    async def authorise(self, amount: int = 1000, method: str = "test_ok", key: str | None = None) -> Payment:
        return await self.service.authorise(self._key(key), usd(amount), method, "order-1", BUYER)

    async def capture(self, payment: Payment, key: str | None = None) -> Payment:
        return await self.service.capture(self._key(key), payment.payment_id)

    async def void(self, payment: Payment, key: str | None = None) -> Payment:
        return await self.service.void(self._key(key), payment.payment_id)

    async def refund(self, payment: Payment, amount: int | None = None, key: str | None = None) -> Payment:
        return await self.service.refund(self._key(key), payment.payment_id, None if amount is None else usd(amount))
