"""What callers do with a few units at once, and the sequential inventory that says whether it can have happened; for `tricorn verify`.

The model is the contract without a database: counters by product and warehouse, reservations by key. What depends on the clock is judged by
the time that a call took: a reservation whose time was over before a call began is over for it, one whose time was not over when it ended is
not, and in between either will do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from math import inf

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agora_proto.inventory.v1 import inventory_pb2 as pb
from tricorn.prove.effects.operation import Operation

_TOLERANCE = 0.005
"""Seconds by which two readings of one clock may be apart: microseconds are cut off."""

_HELD, _CONFIRMED, _RELEASED, _EXPIRED = (
    pb.Reservation.STATE_HELD,
    pb.Reservation.STATE_CONFIRMED,
    pb.Reservation.STATE_RELEASED,
    pb.Reservation.STATE_EXPIRED,
)
_NAMES: dict[int, str] = {_HELD: "HELD", _CONFIRMED: "CONFIRMED", _RELEASED: "RELEASED", _EXPIRED: "EXPIRED"}

Units = tuple[tuple[str, str, int], ...]
"""(product, warehouse, units)."""


@dataclass(frozen=True, slots=True)
class Short:
    """The first line that cannot be held."""

    product_id: str
    requested: int
    available: int


@dataclass(frozen=True, slots=True)
class Held:
    """A reservation. ``reservation_id`` is empty and ``expires`` endless as long as nobody was told them."""

    key: str
    reservation_id: str
    state: int
    units: Units
    lines: tuple[tuple[str, int], ...]
    expires: float = inf

    def over(self, operation: Operation) -> set[bool]:
        """Whether its time can have been over when a call was at work."""
        return {
            over
            for over, can_be in (
                (False, operation.start <= self.expires + _TOLERANCE),
                (True, operation.end >= self.expires - _TOLERANCE),
            )
            if can_be
        }


@dataclass(frozen=True, slots=True)
class Inventory:
    """``available`` by product and warehouse; ``deliveries`` are the keys of what was added, with their lines."""

    available: Units
    reservations: tuple[Held, ...] = ()
    deliveries: tuple[tuple[str, str, Units], ...] = ()

    def with_key(self, key: str) -> Held | None:
        return next((each for each in self.reservations if each.key == key), None)

    def with_id(self, reservation_id: str) -> Held | None:
        return next((each for each in self.reservations if each.reservation_id == reservation_id), None)

    def put(self, held: Held) -> "Inventory":
        others = (each for each in self.reservations if each.key != held.key)
        return replace(self, reservations=tuple(sorted((*others, held), key=lambda each: each.key)))

    def moved(self, units: Units, sign: int) -> "Inventory":
        change = {(product, warehouse): sign * count for product, warehouse, count in units}
        available = tuple((p, w, count + change.get((p, w), 0)) for p, w, count in self.available)
        return replace(self, available=available)

    def taken(self, lines: Sequence[pb.StockLine]) -> "Units | Short":
        """From which warehouses lines would come: most available first, then the lower id. Or what lacks."""
        taken: list[tuple[str, str, int]] = []
        for line in lines:
            rows = sorted((-count, w) for p, w, count in self.available if p == line.product_id)
            missing = line.quantity
            for count, warehouse in rows:
                units = min(-count, missing)
                if units > 0:
                    taken.append((line.product_id, warehouse, units))
                    missing -= units
            if missing:
                return Short(line.product_id, line.quantity, line.quantity - missing)
        return tuple(taken)


def background(history: Sequence[Operation]) -> list[Operation]:
    """Expiry of every reservation that was not settled when it was read last: what is confirmed or released stays so, and cannot have expired.
    It happens once its time is over, sooner or later.
    """
    last = {each.reservation_id: each for each in answered(sorted(history, key=lambda each: each.end))}
    open_ = {_HELD, _EXPIRED}
    ends = [(name, seconds_of(each.expire_time)) for name, each in last.items() if each.state in open_]
    unknown = [each for each in history if each.method == "Reserve" and not each.known]
    return [
        *(Operation(-1, "", end - _TOLERANCE, detail=("id", name, end)) for name, end in ends),
        *(
            Operation(-1, "", each.start + _length(each.request.hold), detail=("key", each.request.key, inf))
            for each in unknown
        ),
    ]


def step(state: Inventory, operation: Operation) -> list[Inventory]:
    """What an inventory may be after a call with its outcome; see `tricorn.prove.effects.application.Window`."""
    if operation.reason == "ABORTED":
        return [state]  # it lost a race and did nothing
    match operation.method:
        case "":
            return _expired(state, operation)
        case "Reserve":
            return _reserved(state, operation)
        case "Restock":
            return _restocked(state, operation)
        case "BatchGetStock":
            return [state] if not operation.known or _shows(state, operation.answer) else []
        case _:
            return _settled(state, operation)


def _expired(state: Inventory, operation: Operation) -> list[Inventory]:
    by, name, end = operation.detail
    held = state.with_id(name) if by == "id" else state.with_key(name)
    if held is None or held.state != _HELD or held.expires != end:
        return []
    return [state.put(replace(held, state=_EXPIRED)).moved(held.units, +1)]


def _reserved(state: Inventory, operation: Operation) -> list[Inventory]:
    request: pb.ReserveRequest = operation.request
    earlier = state.with_key(request.key)
    wanted = tuple((line.product_id, line.quantity) for line in request.lines)
    if earlier is not None:
        if set(earlier.lines) != set(wanted):
            return [state] if operation.reason == "IDEMPOTENCY_KEY_REUSED" or not operation.known else []
        return [state] if not operation.known else _seen(state, earlier, operation)
    taken = state.taken(request.lines)
    if isinstance(taken, Short):
        metadata = {
            "product_id": taken.product_id,
            "requested": str(taken.requested),
            "available": str(taken.available),
        }
        return _refused(state, operation, "OUT_OF_STOCK", **metadata)
    held = Held(request.key, "", _HELD, taken, wanted)
    return _held(state.moved(held.units, -1), held, operation)


def _held(after: Inventory, held: Held, operation: Operation) -> list[Inventory]:
    """A new reservation, as its answer says."""
    if not operation.known:
        return [after.put(held)]
    answer = operation.answer
    if answer is None or answer.state != _HELD or _lines_of(answer) != held.lines:
        return []
    expires = seconds_of(answer.expire_time)
    length = _length(operation.request.hold)
    if not operation.start + length - _TOLERANCE <= expires <= operation.end + length + _TOLERANCE:
        return []
    return [after.put(replace(held, reservation_id=answer.reservation_id, expires=expires))]


def _settled(state: Inventory, operation: Operation) -> list[Inventory]:
    """Confirm, Release, Prolong and GetReservation."""
    held = state.with_id(operation.request.reservation_id)
    if held is None:
        return _refused(state, operation, "NOT_FOUND")
    match operation.method:
        case "GetReservation":
            return _seen(state, held, operation)
        case "Release":
            return _released(state, held, operation)
        case _:
            return _kept(state, held, operation)


def _kept(state: Inventory, held: Held, operation: Operation) -> list[Inventory]:
    """Confirm and Prolong, which need a reservation whose time is not over."""
    confirms = operation.method == "Confirm"
    if held.state == _CONFIRMED and confirms:
        return _seen(state, held, operation)
    if held.state in {_CONFIRMED, _RELEASED}:
        return _refused(state, operation, "INVALID_STATE", state=_NAMES[held.state])
    over = {True} if held.state == _EXPIRED else held.over(operation)
    found = _refused(state, operation, "RESERVATION_EXPIRED") if True in over else []
    if False in over and confirms:
        found += _changed(state, replace(held, state=_CONFIRMED), operation)
    elif False in over:
        found += _prolonged(state, held, operation)
    return found


def _released(state: Inventory, held: Held, operation: Operation) -> list[Inventory]:
    if held.state == _CONFIRMED:
        return _refused(state, operation, "INVALID_STATE", state="CONFIRMED")
    if held.state != _HELD:
        return _seen(state, held, operation)
    return [after.moved(held.units, +1) for after in _changed(state, replace(held, state=_RELEASED), operation)]


def _prolonged(state: Inventory, held: Held, operation: Operation) -> list[Inventory]:
    if operation.answer is None:
        return [] if operation.reason else [state]
    length = _length(operation.request.hold)
    expires = seconds_of(operation.answer.expire_time)
    earliest = max(held.expires, operation.start + length) - _TOLERANCE
    latest = max(held.expires, operation.end + length) + _TOLERANCE
    return _changed(state, replace(held, expires=expires), operation) if earliest <= expires <= latest else []


def _changed(state: Inventory, held: Held, operation: Operation) -> list[Inventory]:
    if operation.known and not _is(operation.answer, held, {held.state}):
        return []
    return [state.put(held)]


def _refused(now: Inventory, operation: Operation, reason: str, **metadata: str) -> list[Inventory]:
    if operation.known and (operation.reason != reason or dict(operation.metadata) != metadata):
        return []
    return [now]


def _seen(state: Inventory, held: Held, operation: Operation) -> list[Inventory]:
    """An answer that shows a reservation as it is and changes nothing."""
    if not operation.known:
        return [state]
    if not held.reservation_id and operation.answer is not None:
        expires = seconds_of(operation.answer.expire_time)
        held = replace(held, reservation_id=operation.answer.reservation_id, expires=expires)
        state = state.put(held)
    states = {held.state}
    if held.state == _HELD:
        states = {_EXPIRED if over else _HELD for over in held.over(operation)}
    return [state] if _is(operation.answer, held, states) else []


def _restocked(state: Inventory, operation: Operation) -> list[Inventory]:
    """What its answer says of the stock is read after it, so it may show what others did since: it is not judged."""
    request: pb.RestockRequest = operation.request
    units = tuple(sorted((line.product_id, request.warehouse_id, line.quantity) for line in request.lines))
    delivery = (request.key, request.warehouse_id, units)
    earlier = next((each for each in state.deliveries if each[0] == request.key), None)
    if earlier is not None and earlier != delivery:
        return _refused(state, operation, "IDEMPOTENCY_KEY_REUSED")
    if operation.known and operation.answer is None:
        return []
    if earlier is not None:
        return [state]
    return [replace(state.moved(units, +1), deliveries=tuple(sorted((*state.deliveries, delivery))))]


def _shows(state: Inventory, answer: pb.BatchGetStockResponse | None) -> bool:
    if answer is None:
        return False
    said = {(s.product_id, w.warehouse_id, w.available) for s in answer.stocks for w in s.warehouses}
    return said == set(state.available)


def _is(answer: pb.Reservation | None, held: Held, states: set[int]) -> bool:
    return (
        answer is not None
        and answer.state in states
        and answer.reservation_id == held.reservation_id
        and sorted(_lines_of(answer)) == sorted(held.lines)
        and seconds_of(answer.expire_time) == held.expires
    )


def answered(history: Sequence[Operation]) -> list[pb.Reservation]:
    """Every reservation as it was answered."""
    return [each.answer for each in history if isinstance(each.answer, pb.Reservation)]


def _lines_of(answer: pb.Reservation) -> tuple[tuple[str, int], ...]:
    return tuple((line.product_id, line.quantity) for line in answer.lines)


def seconds_of(timestamp: Timestamp) -> float:
    return timestamp.ToDatetime(UTC).timestamp()


def _length(duration: Duration) -> float:
    return duration.ToTimedelta().total_seconds()
