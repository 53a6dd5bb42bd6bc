from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from tests.events import ledger

from tricorn.events.metrics import EventCollector


async def test_the_metrics_show_what_is_delivered_and_what_is_stuck(db: Any) -> None:
    await db.books.execute("INSERT INTO poison VALUES ('bad')")
    await ledger.publish(db.shop, "order-1", "bad", "good")
    relay = ledger.relay_for(db.shop, ledger.bookkeeper(db.books))
    registry = CollectorRegistry()
    registry.register(EventCollector(lambda: [relay]))

    async with ledger.running(relay):
        await relay.drained()
    shown = generate_latest(registry).decode()

    assert 'tricorn_events_delivered_total{context="shop"} 2.0' in shown
    assert 'tricorn_events_parked_total{context="shop"} 1.0' in shown
    assert "tricorn_events_lag_seconds" in shown
