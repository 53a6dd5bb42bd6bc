from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import StringValue
from tests.events import ledger

from tricorn.events import Events, Poke, Relay, Route
from tricorn.events.sink import EventSinkServer, LocalSink, WireSink
from tricorn.telemetry import CallStats
from tricorn.v1.events_tricorn import EventSinkServiceClient
from tricorn.wire import Endpoints, GrpcServer, Service, Wire


async def test_a_relay_delivers_to_another_process_over_grpc_in_order_and_with_its_dead_letters(
    db: Any, tmp_path: Path
) -> None:
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "a", "b", "bad", "c")
    await ledger.publish(db.shop, "order-2", "a")
    service = Service(CallStats())
    service.add(EventSinkServer(LocalSink([ledger.bookkeeper(db.books)])))
    address = f"unix:{tmp_path}/sink"
    server = GrpcServer(service, address)
    await server.start()
    endpoints = Endpoints(Service(CallStats()), {"tricorn.v1.EventSinkService": [address]})
    sink = WireSink(EventSinkServiceClient(Wire(endpoints)))

    relay = Relay("shop", db.shop, [Route("books.all", frozenset([ledger.STRING]), sink)], retry=ledger.FAST)
    async with ledger.running(relay):
        await relay.drained()

    await endpoints.close()
    await server.stop(1)
    assert await ledger.effects(db.books) == {"order-1": [1, 2], "order-2": [1]}
    assert await db.shop.fetchval("SELECT error FROM dead_letter WHERE state = 'parked'") == "PoisonError: bad"


async def test_the_events_of_a_process_run_drain_and_stop(db: Any) -> None:
    heard: list[str] = []

    async def hear(event: Any, meta: Any) -> None:
        heard.append(f"{event.value} {meta.source}")

    databases = {"shop": db.shop, "books": db.books}
    pokes = {source: Poke(source, database) for source, database in databases.items()}
    for poke in pokes.values():
        await poke.start()
    running = Events(databases, pokes, LocalSink([ledger.bookkeeper(db.books)]), [(StringValue, hear)])
    await running.start()

    await ledger.publish(db.shop, "order-1", "a")
    pokes["shop"]()
    await running.drain()

    await running.stop()
    for poke in pokes.values():
        await poke.stop()
    assert await ledger.effects(db.books) == {"order-1": [1]}
    assert heard == ["a shop"]
    assert await db.shop.fetchval("SELECT count(*) FROM relay_lease WHERE holder IS NOT NULL") == 0
