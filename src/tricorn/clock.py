"""The clocks of a process, injected so that a test can move them."""

import os
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The time of day in UTC."""
        ...


class SystemClock:
    """The machine's clock, off by ``TRICORN_CLOCK_OFFSET`` seconds where a test of drifting clocks says so."""

    def __init__(self, offset_seconds: float | None = None) -> None:
        offset = float(os.environ.get("TRICORN_CLOCK_OFFSET", "0")) if offset_seconds is None else offset_seconds
        self._offset = timedelta(seconds=offset)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset


class ManualClock:
    """Stands still until it is moved."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
