"""Counts the calls of a process into tallies: a tap of the wire. Without it attached, a call costs nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from tricorn.contract import MethodPolicy, Refusal
from tricorn.prove.tally import Arm, Tallies
from tricorn.wire import Call
from tricorn.wire.resilience import Breaker


@dataclass(frozen=True, slots=True)
class Counted:
    """That a method is counted, and under which generation of its binding."""

    generation: int


class TallyTap:
    """Counts calls; a tap of the wire.

    Args:
        tallies: Counted into.
        counted: Asked with each call, so it must be quick; None: the method is not counted.
    """

    def __init__(self, tallies: Tallies, counted: Callable[[MethodPolicy], Counted | None]) -> None:
        self._tallies = tallies
        self._counted = counted

    def begin(
        self, policy: MethodPolicy, request: Message, call: Call
    ) -> Callable[[Message | Refusal, float, str], None] | None:
        counted = self._counted(policy)
        if counted is None or call.shadow:
            return None

        def finish(outcome: Message | Refusal, seconds: float, implementation: str) -> None:
            tally = self._tallies.arm(Arm(policy.full_name, implementation, counted.generation))
            tally.calls += 1
            tally.latency.add(seconds)
            if isinstance(outcome, Refusal) and outcome.reason in Breaker.COUNTED:
                tally.errors += 1

        return finish

    def fell_back(self, method: str, implementation: str, generation: int, calls: int) -> None:
        """Counts calls that the reference answered in an implementation's place: for that one they are errors."""
        tally = self._tallies.arm(Arm(method, implementation, generation))
        tally.calls += calls
        tally.errors += calls
