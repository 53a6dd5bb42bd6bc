"""What the tests of inventory speak in: products, warehouses and lines by number."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

from agora.inventory.domain import Line, Reservation

MINUTE = timedelta(minutes=1)
Put = Callable[..., Awaitable[None]]
Overdue = Callable[[Reservation], Awaitable[None]]


def product(number: int) -> str:
    return str(uuid.UUID(int=0x100 + number))


def warehouse(number: int) -> str:
    return str(uuid.UUID(int=number))


def lines(*wanted: tuple[int, int]) -> list[Line]:
    """From pairs of product number and quantity."""
    return [Line(product(number), quantity) for number, quantity in wanted]
