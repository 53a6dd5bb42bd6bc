"""Everything inventory can do."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from agora.inventory import domain
from agora.inventory.domain import Action, Delivery, Line, Reservation, Shortage, Stock, Warehouse
from tricorn.contract import PlatformReason, Refusal
from tricorn.data import uuid7
from tricorn.failpoints import failpoint


class Repository(Protocol):
    """Each change is a transaction of its own."""

    async def reserve(
        self, reservation_id: str, key: str, lines: Sequence[Line], hold: timedelta
    ) -> Reservation | Shortage | None: ...
    async def confirm(self, reservation_id: str) -> Reservation | None: ...
    async def release(self, reservation_id: str) -> Reservation | None: ...
    async def prolong(self, reservation_id: str, hold: timedelta) -> Reservation | None: ...
    async def reservation(self, reservation_id: str) -> Reservation | None: ...
    async def reservation_by_key(self, key: str) -> Reservation | None: ...
    async def stock(self, product_ids: Sequence[str]) -> list[tuple[str, str, int]]: ...
    async def restock(self, key: str, warehouse_id: str | None, lines: Sequence[Line]) -> bool: ...
    async def delivery(self, key: str) -> Delivery | None: ...
    async def warehouses(self) -> list[Warehouse]: ...


class InventoryService:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def stock_of(self, product_ids: Sequence[str]) -> list[Stock]:
        """One stock for each id, in the order asked for; a product that no warehouse knows has none."""
        return domain.stocks_of(product_ids, await self._repository.stock(product_ids))

    async def reserve(self, key: str, lines: Sequence[Line], hold: timedelta) -> Reservation:
        """Holds all lines or nothing for the time of `hold`, once per key.

        A refusal is not remembered: the same key may succeed once there is stock again.

        Raises:
            Refusal: OUT_OF_STOCK, IDEMPOTENCY_KEY_REUSED; INVALID_ARGUMENT when a product is named twice.
        """
        domain.each_once(lines)
        outcome = await self._repository.reserve(uuid7(), key, lines, hold)
        if isinstance(outcome, Reservation):
            await failpoint("inventory.reserved")
            return outcome
        if earlier := await self._repository.reservation_by_key(key):
            return domain.same_reservation(earlier, lines)
        if outcome is None:
            raise Refusal(PlatformReason.ABORTED, "The key was in use in the same moment; ask again.")
        raise outcome.refusal()

    async def confirm(self, reservation_id: str) -> Reservation:
        """Sells what is held; again changes nothing.

        Raises:
            Refusal: RESERVATION_EXPIRED from the moment its time is over, whether or not its stock is given back yet;
                INVALID_STATE when it was released; NOT_FOUND.
        """
        confirmed = await self._repository.confirm(reservation_id)
        return confirmed or domain.settled(Action.CONFIRM, await self.reservation(reservation_id))

    async def release(self, reservation_id: str) -> Reservation:
        """Gives back what is held; again, or after it has expired, changes nothing.

        Raises:
            Refusal: INVALID_STATE when it was confirmed; NOT_FOUND.
        """
        released = await self._repository.release(reservation_id)
        return released or domain.settled(Action.RELEASE, await self.reservation(reservation_id))

    async def prolong(self, reservation_id: str, hold: timedelta) -> Reservation:
        """Lets a held reservation live for `hold` from now, or as long as it would have, whichever is longer.

        Raises:
            Refusal: RESERVATION_EXPIRED, INVALID_STATE, NOT_FOUND.
        """
        prolonged = await self._repository.prolong(reservation_id, hold)
        return prolonged or domain.settled(Action.PROLONG, await self.reservation(reservation_id))

    async def reservation(self, reservation_id: str) -> Reservation:
        """Raises Refusal NOT_FOUND."""
        if found := await self._repository.reservation(reservation_id):
            return found
        raise Refusal(PlatformReason.NOT_FOUND, f"There is no reservation {reservation_id}.")

    async def restock(self, key: str, lines: Sequence[Line], warehouse_id: str | None) -> list[Stock]:
        """Adds units once per key, and says what is there then.

        Without a warehouse each product goes where most of it is, else to the warehouse with the lowest id.

        Raises:
            Refusal: IDEMPOTENCY_KEY_REUSED; NOT_FOUND when there is no such warehouse; INVALID_ARGUMENT when a
                product is named twice.
        """
        domain.each_once(lines)
        try:
            added = await self._repository.restock(key, warehouse_id, lines)
        except LookupError:
            raise Refusal(PlatformReason.NOT_FOUND, f"There is no warehouse {warehouse_id or 'at all'}.") from None
        if not added and (earlier := await self._repository.delivery(key)):
            domain.same_delivery(earlier, lines, warehouse_id)
        return await self.stock_of([line.product_id for line in lines])

    async def warehouses(self) -> list[Warehouse]:
        """All of them, by id."""
        return await self._repository.warehouses()
