"""The events of a process for its Prometheus endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import Metric

    from tricorn.events.relay import Relay


class EventCollector(Collector):
    """Shows relays: what they delivered, and the state of their outboxes, read every ten seconds or so.

    Args:
        relays: Those that run now.
    """

    def __init__(self, relays: Callable[[], Iterable[Relay]]) -> None:
        self._relays = relays

    def collect(self) -> Iterator[Metric]:
        labels = ["context"]
        delivered = CounterMetricFamily("tricorn_events_delivered", "Events that all their groups took.", labels=labels)
        parked = CounterMetricFamily("tricorn_events_parked", "Events that failed for good for a group.", labels=labels)
        pending = GaugeMetricFamily("tricorn_events_pending", "Events that wait for a relay.", labels=labels)
        lag = GaugeMetricFamily("tricorn_events_lag_seconds", "Age of the oldest pending event.", labels=labels)
        letters = GaugeMetricFamily("tricorn_events_dead_letters", "Dead letters.", labels=[*labels, "state"])
        for relay in self._relays():
            context = relay.source
            delivered.add_metric([context], relay.counts["delivered"])
            parked.add_metric([context], relay.counts["parked"])
            if relay.status is not None:
                pending.add_metric([context], relay.status.pending)
                lag.add_metric([context], relay.status.lag_seconds)
                letters.add_metric([context, "parked"], relay.status.parked)
                letters.add_metric([context, "waiting"], relay.status.waiting)
        yield from (delivered, parked, pending, lag, letters)
