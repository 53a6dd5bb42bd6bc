"""What proves in a process, from its beginning to its end, and once more."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from probes import ADD, CONTRACT, Answers, messages, server

from tricorn.contract import PlatformReason, Refusal
from tricorn.prove.figures import Pairing
from tricorn.prove.orders import FILE, PARTS, WHOLE, RecordOrder, dump_orders
from tricorn.prove.proving import Proving
from tricorn.telemetry import CallStats
from tricorn.v1 import taps_pb2
from tricorn.v1.taps_tricorn import TapsServiceClient
from tricorn.wire import Bindings, Endpoints, Service, Wire
from tricorn.wire.bindings import Binding, Shadow

LONGEST = 30.0
SHADOWED = Bindings(1, {CONTRACT: Binding(CONTRACT, generation=1, shadow=Shadow("rust", 10_000))})


class Shop:
    """A process that has the reference, and a candidate that is never there; ``edge`` hands it copies."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.looked = asyncio.Event()
        self.defects: list[Exception] = []
        self.unseen = Bindings()
        service = Service(CallStats())
        service.add(server(Answers()))
        self.endpoints = Endpoints(service, {CONTRACT: {"rust": [f"unix:{home}/nobody"]}})
        self.wire = Wire(self.endpoints)
        self.proving = Proving(home, "shop", self.wire, self.endpoints, self._fallbacks, poll=self._poll)
        self.looked.clear()
        service.add(self.proving.server)
        self._client = TapsServiceClient(Wire(self.endpoints))

    def _fallbacks(self) -> Mapping[tuple[str, str], int]:
        if self.defects:
            raise self.defects.pop()
        self.looked.set()
        return {}

    def _poll(self) -> None:
        self.endpoints.update(bindings=self.unseen)

    def record(self) -> None:
        order = RecordOrder("r1", CONTRACT, (), 10_000, time.time() + 3600, 1_000_000)
        (self.home / FILE).parent.mkdir(exist_ok=True)
        (self.home / FILE).write_text(dump_orders({"r1": order}))

    async def hand(self, **wanted: object) -> None:
        request = messages().AddRequest(numbers=[1]).SerializeToString()
        call = taps_pb2.CopiedCall(method=ADD, request=request, answer=b"", implementation="python", **wanted)  # type: ignore[arg-type]
        await self._client.take_calls(taps_pb2.TakeCallsRequest(process="edge", calls=[call]))

    async def end(self) -> None:
        """Begins, and ends at once."""
        stop = asyncio.Event()
        stop.set()
        await self.proving.run(stop)

    def parts(self) -> set[str]:
        return {path.suffix for path in (self.home / PARTS / "r1").iterdir()}


@pytest.fixture
async def shop(generated: Path, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    await shop.proving.shadow.close()
    await shop.endpoints.close()


async def test_a_process_that_ends_begins_nothing_more_for_copies(shop: Shop) -> None:
    shop.record()
    await shop.hand(recordings=["r1"])
    await shop.end()

    with pytest.raises(Refusal) as refused:
        await shop.hand(recordings=["r1"])

    assert refused.value.reason == PlatformReason.UNAVAILABLE
    assert shop.parts() == {WHOLE}
    assert shop.wire.taps == []


async def test_a_look_for_copies_that_goes_on_as_the_process_ends_leaves_no_taps(shop: Shop) -> None:
    shop.endpoints.update(bindings=SHADOWED)
    shop.record()
    await shop.proving.look()
    assert len(shop.wire.taps) == 3

    await asyncio.gather(shop.proving.look(), shop.end())

    assert shop.parts() == {WHOLE}
    assert shop.wire.taps == []


async def test_after_a_defect_calls_and_copies_are_compared_again(shop: Shop) -> None:
    shop.endpoints.update(bindings=SHADOWED)
    shop.defects.append(ValueError("once"))
    with pytest.raises(ValueError, match="once"):
        await shop.proving.run(asyncio.Event())

    stop = asyncio.Event()
    again = asyncio.create_task(shop.proving.run(stop))
    async with asyncio.timeout(LONGEST):
        await shop.looked.wait()
    await shop.wire.call(ADD, messages().AddRequest(numbers=[1]))
    await shop.hand(compare=taps_pb2.CopyToCompare(implementation="rust", generation=1))
    await shop.proving.shadow.idle()

    assert sum(shop.proving.found.of(Pairing(ADD, "rust")).incomparable.values()) == 2
    stop.set()
    await again


async def test_bindings_that_were_not_looked_at_yet_are_for_copies_that_come_by_them(shop: Shop) -> None:
    await shop.proving.look()
    shop.unseen = SHADOWED

    await shop.hand(compare=taps_pb2.CopyToCompare(implementation="rust", generation=1))
    await shop.proving.shadow.idle()

    assert sum(shop.proving.found.of(Pairing(ADD, "rust")).incomparable.values()) == 1
