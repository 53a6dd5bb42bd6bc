"""How it ends."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from native_inventory import SECONDS, connected
from stockroom import MINUTE, Put, lines, product

from agora_proto.inventory.v1 import inventory_pb2 as pb
from tricorn.contract import Refusal
from tricorn.host.testing import TestApp

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("conserved")]


async def test_a_term_lets_calls_in_flight_end(
    app: TestApp, process: AbstractAsyncContextManager[str], put: Put
) -> None:
    await put(1, 100)
    address = await process.__aenter__()
    async with connected(address) as native, connected(address) as late:
        async with app.admin.transaction() as theirs:
            await theirs.execute("SELECT FROM inventory.stock WHERE product_id = $1 FOR UPDATE", product(1))
            calls = [asyncio.create_task(native.reserve(f"k{number}", lines((1, 1)), MINUTE)) for number in range(30)]
            await _waiting(app)

            ending = asyncio.create_task(process.__aexit__(None, None, None))

            async with asyncio.timeout(SECONDS):
                while await _answers(late):
                    pass
        made = await asyncio.gather(*calls, return_exceptions=True)
    await ending
    # On a slow machine the time of some is over, and they are told so.
    late_ones = [answer for answer in made if isinstance(answer, BaseException)]
    assert {getattr(answer, "reason", answer) for answer in late_ones} <= {"DEADLINE_EXCEEDED", "UNAVAILABLE"}
    held = [answer for answer in made if isinstance(answer, pb.Reservation)]
    assert {reservation.state for reservation in held} <= {pb.Reservation.STATE_HELD}
    left = await app.admin.fetchval("SELECT available FROM inventory.stock")
    assert 70 <= left <= 100 - len(held)


async def _waiting(app: TestApp) -> None:
    """Returns once somebody waits for the rows that the test holds."""
    async with asyncio.timeout(SECONDS):
        while not await app.admin.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            pass


async def _answers(native: object) -> bool:
    try:
        await native.client.list_warehouses(pb.ListWarehousesRequest())  # type: ignore[attr-defined]
    except Refusal:
        return False
    return True
