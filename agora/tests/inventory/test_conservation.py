"""Random operations against a model of three counters: no unit appears, vanishes or is promised twice."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stockroom import MINUTE, Overdue, Put

from agora.inventory.domain import Line, Reservation, State
from agora.inventory.events import Sweeper
from agora.inventory.repository import InventoryRepository
from agora.inventory.service import InventoryService
from tricorn.contract import Refusal
from tricorn.data import uuid7
from tricorn.host.testing import TestApp

pytestmark = pytest.mark.usefixtures("conserved")

_WHICH = st.integers(min_value=0, max_value=5)
_OPERATIONS = st.one_of(
    st.tuples(st.just("reserve"), st.lists(st.integers(min_value=0, max_value=7), min_size=2, max_size=2)),
    st.tuples(st.just("restock"), st.lists(st.integers(min_value=0, max_value=7), min_size=2, max_size=2)),
    st.tuples(st.sampled_from(["confirm", "release", "prolong", "overdue"]), _WHICH),
    st.tuples(st.just("sweep"), st.just(0)),
)


@dataclass
class _Model:
    """Counters of two products, and the reservations by what has become of them."""

    available: list[int] = field(default_factory=lambda: [0, 0])
    states: list[State] = field(default_factory=list)
    units: list[list[int]] = field(default_factory=list)
    overdue: set[int] = field(default_factory=set)

    def reserve(self, units: list[int]) -> bool:
        if any(wanted > there for wanted, there in zip(units, self.available, strict=True)):
            return False
        self.available = [there - wanted for wanted, there in zip(units, self.available, strict=True)]
        self.states.append(State.HELD)
        self.units.append(units)
        return True

    def give_back(self, which: int, state: State) -> None:
        self.available = [there + wanted for wanted, there in zip(self.units[which], self.available, strict=True)]
        self.states[which] = state

    def sweep(self) -> None:
        for which in self.overdue:
            if self.states[which] is State.HELD:
                self.give_back(which, State.EXPIRED)

    def total(self, state: State) -> list[int]:
        chosen = [units for units, now in zip(self.units, self.states, strict=True) if now is state]
        return [sum(units[at] for units in chosen) for at in range(2)]


@pytest.fixture
async def sweeper(app: TestApp, put: Put) -> Sweeper:
    await put(0, 0, 0)
    return Sweeper(app.host("inventory").begin(InventoryRepository), interval=3600)


def _lines(products: list[str], units: list[int]) -> list[Line]:
    return [Line(product, wanted) for product, wanted in zip(products, units, strict=True) if wanted]


async def _try(call: Awaitable[object]) -> bool:
    try:
        await call
    except Refusal as refusal:
        if refusal.reason in {"OUT_OF_STOCK", "INVALID_STATE", "RESERVATION_EXPIRED"}:
            return False
        raise
    return True


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(_OPERATIONS, min_size=4, max_size=25))
async def test_the_counters_are_those_of_a_simple_model(
    app: TestApp,
    service: InventoryService,
    sweeper: Sweeper,
    overdue: Overdue,
    operations: list[tuple[str, object]],
) -> None:
    products = [uuid7(), uuid7()]
    model = _Model()
    made: list[Reservation] = []
    await service.restock(uuid7(), _lines(products, [9, 9]), None)
    model.available = [9, 9]
    for name, argument in operations:
        if name in {"reserve", "restock"}:
            units = list(argument) if isinstance(argument, list) else []
            wanted = _lines(products, units)
            if not wanted:
                continue
            if name == "restock":
                await service.restock(uuid7(), wanted, None)
                model.available = [there + more for there, more in zip(model.available, units, strict=True)]
            elif model.reserve(units):
                made.append(await service.reserve(uuid7(), wanted, MINUTE))
            else:
                assert not await _try(service.reserve(uuid7(), wanted, MINUTE))
        elif name == "sweep":
            await sweeper.sweep()
            model.sweep()
        elif made:
            assert isinstance(argument, int)
            which = argument % len(made)
            if name == "overdue":
                await overdue(made[which])
                model.overdue.add(which)
            else:
                await _settle(service, model, made[which].reservation_id, name, which)
        await _compare(app, products, model)


async def _settle(service: InventoryService, model: _Model, reservation_id: str, name: str, which: int) -> None:
    state = model.states[which]
    alive = state is State.HELD and which not in model.overdue
    if name == "confirm":
        assert await _try(service.confirm(reservation_id)) == (alive or state is State.CONFIRMED)
        if alive:
            model.states[which] = State.CONFIRMED
    elif name == "release":
        assert await _try(service.release(reservation_id)) == (state is not State.CONFIRMED)
        if state is State.HELD:
            model.give_back(which, State.RELEASED)
    else:
        assert await _try(service.prolong(reservation_id, timedelta(hours=1))) == alive


async def _compare(app: TestApp, products: list[str], model: _Model) -> None:
    rows = await app.database("inventory").fetch(
        "SELECT sum(available), sum(held), sum(sold) FROM stock JOIN unnest($1::uuid[]) WITH ORDINALITY AS p (id, n)"
        " ON id = product_id GROUP BY n ORDER BY n",
        products,
    )
    assert [int(row[0]) for row in rows] == model.available
    assert [int(row[1]) for row in rows] == model.total(State.HELD)
    assert [int(row[2]) for row in rows] == model.total(State.CONFIRMED)
