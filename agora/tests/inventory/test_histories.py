"""The model that judges histories of inventory, and three faults that it must see: on copies of the server, with calls that really overlap."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agora.inventory.generated import Rush
from agora.inventory.repository import InventoryRepository
from agora.inventory.server import InventoryServer
from agora.inventory.service import InventoryService
from agora_proto.inventory.v1 import inventory_pb2 as pb
from tricorn.contract import Refusal, service_policies
from tricorn.data import Database, EmbeddedPostgres, uuid7
from tricorn.host import load_manifest
from tricorn.host.testing import TestApp, running
from tricorn.prove.effects.application import declared
from tricorn.prove.effects.here import Here
from tricorn.prove.effects.histories import Historian
from tricorn.prove.effects.hosting import Data
from tricorn.prove.effects.state import Tables
from tricorn.telemetry import CallStats
from tricorn.wire import Call, Service

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
CONTRACT = "agora.inventory.v1.InventoryService"
WINDOWS = 24


class LostUpdate(InventoryServer):
    """Reads the counters, and writes what it makes of them."""

    def __init__(self, database: Database) -> None:
        super().__init__(InventoryService(InventoryRepository(database)))
        self._database = database

    async def reserve(self, request: pb.ReserveRequest, call: Call) -> pb.Reservation:
        if len(request.lines) != 1 or await self._database.fetchval(
            "SELECT EXISTS (SELECT FROM reservation WHERE key = $1)", request.key
        ):
            return await super().reserve(request, call)
        line = request.lines[0]
        row = await self._database.fetchrow(
            "SELECT warehouse_id, available FROM stock WHERE product_id = $1 ORDER BY available DESC, warehouse_id",
            line.product_id,
        )
        if row is None or row["available"] < line.quantity:
            return await super().reserve(request, call)
        reservation_id = uuid7()
        created = await self._database.fetchrow(
            """
            WITH moved AS (
                UPDATE stock SET available = $6, held = received - sold - $6
                WHERE (product_id, warehouse_id) = ($3, $4) AND received - sold >= $6
            )
            INSERT INTO reservation (reservation_id, key, state, product_ids, warehouse_ids, quantities, expire_time)
            VALUES ($1, $2, 'HELD', ARRAY[$3::uuid], ARRAY[$4::uuid], ARRAY[$5::int], clock_timestamp() + $7)
            ON CONFLICT DO NOTHING RETURNING expire_time
            """,
            reservation_id,
            request.key,
            line.product_id,
            row["warehouse_id"],
            line.quantity,
            row["available"] - line.quantity,
            request.hold.ToTimedelta(),
        )
        if created is None:
            return await super().reserve(request, call)
        answer = pb.Reservation(reservation_id=reservation_id, state=pb.Reservation.STATE_HELD, lines=request.lines)
        answer.expire_time.FromDatetime(created["expire_time"])
        return answer


class DoubleReserve(InventoryServer):
    """Forgets that it has seen a key."""

    def __init__(self, database: Database) -> None:
        super().__init__(InventoryService(InventoryRepository(database)))

    async def reserve(self, request: pb.ReserveRequest, call: Call) -> pb.Reservation:
        forgotten = pb.ReserveRequest()
        forgotten.CopyFrom(request)
        forgotten.key = uuid7()
        return await super().reserve(forgotten, call)


class AnswerBeforeCommit(InventoryServer):
    """Answers what will be, and makes it so a moment later."""

    def __init__(self, database: Database) -> None:
        super().__init__(InventoryService(InventoryRepository(database)))
        self._service_behind = InventoryService(InventoryRepository(database))
        self._later: set[asyncio.Task[None]] = set()

    async def confirm(self, request: pb.ConfirmRequest, call: Call) -> pb.Reservation:
        reservation = await super().get_reservation(
            pb.GetReservationRequest(reservation_id=request.reservation_id), call
        )
        if reservation.state == pb.Reservation.STATE_HELD:
            task = asyncio.create_task(self._confirm(request.reservation_id))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
            reservation.state = pb.Reservation.STATE_CONFIRMED
            return reservation
        return await super().confirm(request, call)

    async def _confirm(self, reservation_id: str) -> None:
        for _ in range(20):  # as long as other calls have their turn
            await asyncio.sleep(0.001)
        with contextlib.suppress(Refusal):  # whoever was promised it has gone
            await self._service_behind.confirm(reservation_id)


@pytest.fixture
async def app(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TestApp]:
    monkeypatch.setenv("AGORA_INVENTORY_SWEEP_SECONDS", "0.1")
    async with running(postgres, APPLICATION, ["inventory"]) as app:
        yield app


@asynccontextmanager
async def historian(app: TestApp) -> AsyncIterator[Historian]:
    said = declared(load_manifest(APPLICATION), CONTRACT).said
    data = Data("inventory", app.database("inventory").url, app.admin.url)
    policies = {policy.name: policy for policy in service_policies(CONTRACT)}
    async with Tables(data) as tables:
        yield Historian(Rush, policies, tables, said.invariants, seed=1)


def served(server: InventoryServer) -> Here:
    service = Service(CallStats())
    service.add(server)
    return Here(service)


async def test_the_server_as_it_is_keeps_to_the_model_while_reservations_end(app: TestApp) -> None:
    async with historian(app) as recorded:
        found = await recorded.record("python", {"python": Here(app.process.service)}, WINDOWS)

    assert found.failed == []
    assert found.holds
    assert found.windows == WINDOWS
    assert found.overlapping > WINDOWS


@pytest.mark.parametrize("faulty", [LostUpdate, DoubleReserve, AnswerBeforeCommit])
async def test_a_planted_fault_is_seen(app: TestApp, faulty: Callable[[Database], InventoryServer]) -> None:
    async with historian(app) as recorded:
        found = await recorded.record("planted", {"python": served(faulty(app.database("inventory")))}, WINDOWS)

    assert not found.holds
    assert found.impossible or found.broken


async def test_a_faulty_implementation_beside_a_sound_one_is_seen(app: TestApp) -> None:
    answers = {"candidate": served(DoubleReserve(app.database("inventory"))), "reference": Here(app.process.service)}

    async with historian(app) as recorded:
        found = await recorded.record("mixed", answers, WINDOWS)

    assert found.impossible
    assert {each.by for each in found.failed[0].history} == {"candidate", "reference"}


def test_a_rush_is_made_of_its_seed_alone() -> None:
    one, other = Rush(random.Random(7)), Rush(random.Random(7))  # noqa: S311 - repeatable

    assert one.rows == other.rows
    assert one.ask(random.Random(3), 0, []) == other.ask(random.Random(3), 0, [])  # noqa: S311 - repeatable
