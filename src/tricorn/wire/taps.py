"""Who looks at calls as they pass: recorders, comparers, counters. A tap that fails harms nobody's call."""

from collections.abc import Callable, Sequence
from typing import Protocol

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, Refusal
from tricorn.wire.call import Call

Finish = Callable[[Message | Refusal, float, str], None]
"""Takes how a call ended: its outcome, the seconds it took, and the implementation that answered."""

_log = telemetry.get_logger("tricorn.wire")


class Tap(Protocol):
    """Looks at unary calls. It must not block and must not change a message; what it wants to keep of the request it copies at once."""

    def begin(self, policy: MethodPolicy, request: Message, call: Call) -> Finish | None:
        """Before the call is made. What it returns is called with the end, unless the caller goes away first."""
        ...


def begin_all(taps: Sequence[Tap], policy: MethodPolicy, request: Message, call: Call) -> list[Finish]:
    """Shows a call to each tap; those that want to know how it ends."""
    finishes = []
    for tap in taps:
        try:
            finish = tap.begin(policy, request, call)
        except Exception as error:  # noqa: BLE001 - a defect of who looks on is not the caller's
            _log.error("a tap failed", tap=type(tap).__name__, method=policy.full_name, exc_info=error)
            continue
        if finish is not None:
            finishes.append(finish)
    return finishes


def finish_all(finishes: Sequence[Finish], outcome: Message | Refusal, seconds: float, implementation: str) -> None:
    """Tells how a call ended."""
    for finish in finishes:
        try:
            finish(outcome, seconds, implementation)
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("a tap failed", implementation=implementation, exc_info=error)
