"""How long things may take, and how often they may fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds, but for `restarts`: how often a process may end by itself within `restart_window`.

    A gateway that hands over gets `leave` for the requests that it still has, and for connections that are kept for the next one.

    Every `pulse` a process is asked for its health; one that has given no answer for `silent` is replaced. A gateway that has given none for
    `doubt` is helped out: Python accepts on the public port as well until it answers again.
    """

    ready: float = 60.0
    prepare: float = 600.0
    build: float = 3600.0
    check: float = 600.0
    stop: float = 12.0
    leave: float = 25.0
    restarts: int = 5
    restart_window: float = 60.0
    backoff: float = 0.25
    longest_backoff: float = 10.0
    pulse: float = 1.0
    silent: float = 10.0
    doubt: float = 3.0
