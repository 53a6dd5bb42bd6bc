"""An event on its way: the envelope of CloudEvents 1.0 around a protobuf message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from tricorn.contract import timestamp
from tricorn.v1 import events_pb2


@dataclass(frozen=True, slots=True)
class EventMeta:
    """What a handler gets besides the message. `source` is the context that published it, `subject` its aggregate's
    id, `sequence` counts the aggregate's events from 1 without gaps, `time` is when it was written, by the
    publisher's database, in UTC.
    """

    id: str
    type: str
    source: str
    subject: str
    sequence: int
    time: datetime
    causation: str


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the log. `position` orders the events of one aggregate; between aggregates it says nothing, since
    transactions commit in any order.
    """

    position: int
    partition: int
    traceparent: str
    data: bytes
    meta: EventMeta

    @classmethod
    def from_row(cls, row: Mapping[str, Any], source: str) -> Self:
        return cls(
            row["position"],
            row["partition"],
            row["traceparent"],
            row["data"],
            EventMeta(
                str(row["id"]), row["type"], source, row["subject"], row["sequence"], row["time"], row["causation"]
            ),
        )

    @classmethod
    def from_wire(cls, event: events_pb2.Event) -> Self:
        """Position and partition do not travel: only the relay needs them."""
        meta = EventMeta(
            event.id,
            event.type,
            event.source,
            event.subject,
            event.sequence,
            event.time.ToDatetime(tzinfo=UTC),
            event.causation,
        )
        return cls(0, 0, event.traceparent, event.data, meta)

    def to_wire(self) -> events_pb2.Event:
        return events_pb2.Event(
            id=self.meta.id,
            type=self.meta.type,
            source=self.meta.source,
            subject=self.meta.subject,
            sequence=self.meta.sequence,
            time=timestamp(self.meta.time),
            traceparent=self.traceparent,
            causation=self.meta.causation,
            data=self.data,
        )


COLUMNS = "o.position, o.partition, o.id, o.type, o.subject, o.sequence, o.time, o.traceparent, o.causation, o.data"
