"""What inventory announces: that a reservation's time was over and its stock is available again."""

import asyncio
from typing import Protocol

from agora.inventory.domain import Reservation
from agora_proto.inventory.v1 import inventory_pb2 as pb
from agora_proto.inventory.v1.events_pb2 import ReservationExpired
from tricorn.events import Begin

_BATCH = 100


class Expiring(Protocol):
    async def expire(self, limit: int) -> list[Reservation]: ...


class Sweeper:
    """Gives back what is held beyond its time. Any number of processes may sweep: a reservation expires once.

    Args:
        begin: Opens a unit of work.
        interval: Seconds between looks; how long stock may stay held beyond its time.
    """

    def __init__(self, begin: Begin[Expiring], interval: float) -> None:
        self._begin = begin
        self._interval = interval

    async def sweep(self) -> int:
        """One batch, in one transaction with its events; how many have expired."""
        async with self._begin() as work:
            expired = await work.repository.expire(_BATCH)
            for reservation in expired:
                await work.publish(_event(reservation), subject=reservation.reservation_id)
        return len(expired)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), self._interval)
            except TimeoutError:
                while await self.sweep() == _BATCH:
                    pass


def _event(reservation: Reservation) -> ReservationExpired:
    lines = [pb.StockLine(product_id=line.product_id, quantity=line.quantity) for line in reservation.lines]
    return ReservationExpired(reservation_id=reservation.reservation_id, lines=lines)
