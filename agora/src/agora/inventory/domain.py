"""Stock and reservations: who has a claim on how many units, and what may become of the claim."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agora_proto.reasons import Reason
from tricorn.contract import PlatformReason, Refusal, Violation


class State(StrEnum):
    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class Action(StrEnum):
    CONFIRM = "confirm"
    RELEASE = "release"
    PROLONG = "prolong"


@dataclass(frozen=True, slots=True)
class Warehouse:
    warehouse_id: str
    name: str
    city: str


@dataclass(frozen=True, slots=True)
class Line:
    product_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """Units of a product that one warehouse contributes."""

    product_id: str
    warehouse_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class WarehouseStock:
    warehouse_id: str
    available: int


@dataclass(frozen=True, slots=True)
class Stock:
    """What may still be reserved of a product, warehouse by warehouse, in the order of their ids."""

    product_id: str
    warehouses: tuple[WarehouseStock, ...] = ()

    @property
    def available(self) -> int:
        return sum(stock.available for stock in self.warehouses)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A restock as its key remembers it."""

    warehouse_id: str | None
    lines: frozenset[Line]


@dataclass(frozen=True, slots=True)
class Shortage:
    product_id: str
    requested: int
    available: int

    def refusal(self) -> Refusal:
        return Refusal(
            Reason.OUT_OF_STOCK,
            f"{self.requested} of product {self.product_id} were asked for and {self.available} are available.",
            metadata={
                "product_id": self.product_id,
                "requested": str(self.requested),
                "available": str(self.available),
            },
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A claim on stock. `state` is as the database's clock sees it: a held one whose time is over is EXPIRED."""

    reservation_id: str
    state: State
    allocations: tuple[Allocation, ...]
    expire_time: datetime

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines that were reserved, in their order: a product's allocations stand side by side."""
        quantities: dict[str, int] = defaultdict(int)
        for allocation in self.allocations:
            quantities[allocation.product_id] += allocation.quantity
        return tuple(Line(product_id, quantity) for product_id, quantity in quantities.items())


_DONE = {
    (Action.CONFIRM, State.CONFIRMED),
    (Action.RELEASE, State.RELEASED),
    (Action.RELEASE, State.EXPIRED),
}


def each_once(lines: Sequence[Line]) -> None:
    """Makes sure that no product is named twice.

    This is no rule of the contract because a rule over all lines, evaluated as an expression, costs more than all the
    others of a request.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if len({line.product_id for line in lines}) < len(lines):
        broken = Violation("lines", "lines.unique", "each product at most once")
        raise Refusal(PlatformReason.INVALID_ARGUMENT, f"{broken.field}: {broken.message}", violations=[broken])


def settled(action: Action, reservation: Reservation) -> Reservation:
    """The answer to an action that found its reservation no longer held.

    That is the reservation itself where the action's aim is reached already, so that repeating is harmless.

    Raises:
        Refusal: RESERVATION_EXPIRED, INVALID_STATE, or ABORTED when it is held after all, so that asking again will do.
    """
    if (action, reservation.state) in _DONE:
        return reservation
    if reservation.state is State.HELD:
        raise Refusal(PlatformReason.ABORTED, "The reservation changed in the same moment; ask again.")
    if reservation.state is State.EXPIRED:
        raise Refusal(Reason.RESERVATION_EXPIRED, f"The reservation ended at {reservation.expire_time.isoformat()}.")
    raise Refusal(
        Reason.INVALID_STATE,
        f"The reservation is {reservation.state.lower()}: {action} is not possible.",
        metadata={"state": reservation.state},
    )


def same_reservation(reservation: Reservation, lines: Iterable[Line]) -> Reservation:
    """The reservation an earlier call with the key made, in whatever order its lines come now.

    Raises:
        Refusal: IDEMPOTENCY_KEY_REUSED when it was made for other lines.
    """
    if set(reservation.lines) != set(lines):
        raise key_reused()
    return reservation


def same_delivery(delivery: Delivery, lines: Iterable[Line], warehouse_id: str | None) -> None:
    """Raises Refusal IDEMPOTENCY_KEY_REUSED when the key stood for other units, or for another warehouse."""
    if delivery != Delivery(warehouse_id, frozenset(lines)):
        raise key_reused()


def key_reused() -> Refusal:
    return Refusal(PlatformReason.IDEMPOTENCY_KEY_REUSED, "The key was used before with another request.")


def stocks_of(product_ids: Sequence[str], rows: Iterable[tuple[str, str, int]]) -> list[Stock]:
    """One stock for each product id in the order asked for, from `(product_id, warehouse_id, available)` rows."""
    warehouses: dict[str, list[WarehouseStock]] = defaultdict(list)
    for product_id, warehouse_id, available in rows:
        warehouses[product_id].append(WarehouseStock(warehouse_id, available))
    return [Stock(product_id, tuple(warehouses.get(product_id, ()))) for product_id in product_ids]
