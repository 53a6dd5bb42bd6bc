"""Stock, and what callers do with it, from a seed alone; for `tricorn verify`."""

import random
import uuid
from collections.abc import Sequence
from time import time
from typing import Any

from google.protobuf.duration_pb2 import Duration

from agora.inventory import history
from agora_proto.inventory.v1 import inventory_pb2 as pb
from tricorn.prove.effects.application import Ask
from tricorn.prove.effects.operation import Operation

Request = (
    pb.BatchGetStockRequest
    | pb.ReserveRequest
    | pb.ConfirmRequest
    | pb.ReleaseRequest
    | pb.ProlongRequest
    | pb.GetReservationRequest
    | pb.RestockRequest
    | pb.ListWarehousesRequest
)

_UNITS = (0, 1, 2, 3, 5, 8, 20)
_HOLDS = (600, 3600, 86_340)
"""Seconds: none of them ends while a sequence is played, and all are whole minutes, in which the state counts them."""

CALLERS = 4
CALLS = 6
"""Of each caller in a rush."""

_LONG_AGO = "2020-01-01T00:00:00Z"
_TEN_MINUTES_LATER = "2020-01-01T00:10:00Z"
_IN_A_WHILE = "2100-01-01T00:00:00Z"


def drawn_id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


class Scene:
    """Three products in two warehouses; four reservations of earlier days, one in each state and one whose time is over."""

    def __init__(self, rng: random.Random) -> None:
        self.warehouses = sorted(drawn_id(rng) for _ in range(2))
        self.products = [drawn_id(rng) for _ in range(3)]
        self.name = f"{rng.getrandbits(48):012x}"
        self._keys = 0
        self._earlier = [
            ("HELD", _IN_A_WHILE),
            ("CONFIRMED", _TEN_MINUTES_LATER),
            ("RELEASED", _TEN_MINUTES_LATER),
            ("HELD", _TEN_MINUTES_LATER),
        ]
        self.reservations = [drawn_id(rng) for _ in self._earlier]
        self._stock = [
            stock_row(product, warehouse, rng.choice(_UNITS))
            for product in self.products
            for warehouse in self.warehouses
            if product != self.products[-1] or rng.random() < 0.5
        ]

    @property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        stock = [dict(row) for row in self._stock]
        reservations = []
        for number, (reservation_id, (state, expires)) in enumerate(zip(self.reservations, self._earlier, strict=True)):
            row = stock[number % len(stock)]
            reservations.append(
                {
                    "reservation_id": reservation_id,
                    "key": f"{self.name}-earlier-{number}",
                    "state": state,
                    "product_ids": [row["product_id"]],
                    "warehouse_ids": [row["warehouse_id"]],
                    "quantities": [number + 1],
                    "expire_time": expires,
                    "create_time": _LONG_AGO,
                    "update_time": _LONG_AGO,
                }
            )
            if counter := {"HELD": "held", "CONFIRMED": "sold"}.get(state):
                row[counter] += number + 1
                row["received"] += number + 1
        return {
            "inventory.warehouse": warehouse_rows(self.warehouses),
            "inventory.stock": stock,
            "inventory.reservation": reservations,
        }

    def request(self, rng: random.Random, method: str) -> Request | None:
        """A request for a method of InventoryService, as `[verify.inventory]` of tricorn.toml asks for it."""
        made: Request | None
        match method:
            case "BatchGetStock":
                made = pb.BatchGetStockRequest(product_ids=rng.choices(self._some_products(rng), k=rng.randint(0, 4)))
            case "Reserve":
                made = pb.ReserveRequest(key=self._key(), lines=self._lines(rng), hold=_long(rng))
            case "Confirm":
                made = pb.ConfirmRequest(reservation_id=self._reservation(rng))
            case "Release":
                made = pb.ReleaseRequest(reservation_id=self._reservation(rng))
            case "Prolong":
                made = pb.ProlongRequest(reservation_id=self._reservation(rng), hold=_long(rng))
            case "GetReservation":
                made = pb.GetReservationRequest(reservation_id=self._reservation(rng))
            case "Restock":
                where = rng.choice(("", "", *self.warehouses, *self.warehouses, drawn_id(rng)))
                made = pb.RestockRequest(key=self._key(), lines=self._lines(rng), warehouse_id=where)
            case "ListWarehouses":
                made = pb.ListWarehousesRequest()
            case _:
                made = None
        return made

    def _key(self) -> str:
        self._keys += 1
        return f"{self.name}-{self._keys}"

    def _reservation(self, rng: random.Random) -> str:
        return _in_some_case(rng, rng.choice((*self.reservations, drawn_id(rng))))

    def _some_products(self, rng: random.Random) -> list[str]:
        unknown = [drawn_id(rng)] if rng.random() < 0.1 else []
        return [_in_some_case(rng, product) for product in (*self.products, *unknown)]

    def _lines(self, rng: random.Random) -> list[pb.StockLine]:
        products = self._some_products(rng)
        chosen = rng.sample(products, rng.randint(1, len(products)))
        if rng.random() < 0.04:
            chosen.append(chosen[0])
        return [pb.StockLine(product_id=product, quantity=rng.choice((1, 1, 2, 3, 5, 9))) for product in chosen]


class Rush:
    """Four callers, two products of a few units in two warehouses, some holds that end while it goes on."""

    callers = CALLERS

    def __init__(self, rng: random.Random) -> None:
        self.warehouses = sorted(drawn_id(rng) for _ in range(2))
        self.products = [drawn_id(rng) for _ in range(2)]
        self._name = f"{rng.getrandbits(48):012x}"
        self._units = [(p, w, rng.randint(0, 3)) for p in self.products for w in self.warehouses]
        self._made = [0] * CALLERS

    @property
    def rows(self) -> dict[str, list[dict[str, Any]]]:
        return {
            "inventory.warehouse": warehouse_rows(self.warehouses),
            "inventory.stock": [stock_row(*units) for units in self._units],
        }

    @property
    def initial(self) -> history.Inventory:
        return history.Inventory(tuple(sorted(self._units)))

    def ask(self, rng: random.Random, caller: int, so_far: Sequence[Operation]) -> Ask | None:
        """Reserves first, then whatever one may do with what was reserved, by whomever."""
        if self._made[caller] == CALLS:
            return None
        self._made[caller] += 1
        known = history.answered(so_far)
        if not known or rng.random() < 0.3:
            return self._reserve(rng, so_far)
        if rng.random() < 0.12:
            where = rng.choice(self.warehouses)
            key = f"{self._name}-delivery-{rng.randint(0, 2)}"
            return Ask("Restock", pb.RestockRequest(key=key, lines=self._lines(rng), warehouse_id=where))
        if rng.random() < 0.2:
            return Ask("BatchGetStock", pb.BatchGetStockRequest(product_ids=self.products))
        reservation = rng.choice(known[-3:] if rng.random() < 0.7 else known)
        method, made = self._about(rng, reservation.reservation_id)
        return Ask(method, made, self._until(rng, reservation))

    def _reserve(self, rng: random.Random, so_far: Sequence[Operation]) -> Ask:
        earlier = [each.request for each in so_far if each.method == "Reserve"]
        if earlier and rng.random() < 0.25:
            return Ask("Reserve", rng.choice(earlier))
        # Few keys: several callers may be about to use one at the same moment.
        key = f"{self._name}-{rng.randint(0, 9)}"
        return Ask("Reserve", pb.ReserveRequest(key=key, lines=self._lines(rng), hold=hold(rng.choice((1, 1, 600)))))

    def _lines(self, rng: random.Random) -> list[pb.StockLine]:
        chosen = rng.sample(self.products, rng.choice((1, 1, 2)))
        return [pb.StockLine(product_id=product, quantity=rng.randint(1, 2)) for product in chosen]

    @staticmethod
    def _about(rng: random.Random, reservation_id: str) -> tuple[str, Request]:
        match rng.choice(("Confirm", "Confirm", "Release", "Release", "Prolong", "GetReservation")):
            case "Confirm":
                return "Confirm", pb.ConfirmRequest(reservation_id=reservation_id)
            case "Release":
                return "Release", pb.ReleaseRequest(reservation_id=reservation_id)
            case "Prolong":
                seconds = rng.choice((1, 1, 2, 600))
                return "Prolong", pb.ProlongRequest(reservation_id=reservation_id, hold=hold(seconds))
            case _:
                return "GetReservation", pb.GetReservationRequest(reservation_id=reservation_id)

    @staticmethod
    def _until(rng: random.Random, reservation: pb.Reservation) -> float:
        """Sometimes until about the moment at which its time is over."""
        left = history.seconds_of(reservation.expire_time) - time()
        return max(0.0, left + rng.uniform(-0.03, 0.05)) if left < 1.2 and rng.random() < 0.3 else 0.0

    def last(self, so_far: Sequence[Operation]) -> list[Ask]:
        ids = dict.fromkeys(each.reservation_id for each in history.answered(so_far))
        return [
            *(Ask("GetReservation", pb.GetReservationRequest(reservation_id=each)) for each in ids),
            Ask("BatchGetStock", pb.BatchGetStockRequest(product_ids=self.products)),
        ]

    background = staticmethod(history.background)
    step = staticmethod(history.step)


def stock_row(product: str, warehouse: str, units: int) -> dict[str, Any]:
    return {
        "product_id": product,
        "warehouse_id": warehouse,
        "received": units,
        "available": units,
        "held": 0,
        "sold": 0,
    }


def warehouse_rows(warehouses: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"warehouse_id": warehouse, "name": f"W{number}", "city": "Springfield"}
        for number, warehouse in enumerate(warehouses)
    ]


def hold(seconds: int, nanos: int = 0) -> Duration:
    return Duration(seconds=seconds, nanos=nanos)


def _long(rng: random.Random) -> Duration:
    return hold(rng.choice(_HOLDS), rng.choice((0, 0, 1_000, 500_000_000)))


def _in_some_case(rng: random.Random, said: str) -> str:
    return said.upper() if rng.random() < 0.05 else said
