"""Takes copies of the calls that native processes made, and has them recorded and compared beside those of this process.

Lots were drawn where the calls were made, by the same orders. What a process copied just before it saw that an order has ended still counts.
"""

from collections.abc import Awaitable, Callable

from google.protobuf.duration_pb2 import Duration

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, method_policy
from tricorn.prove.comparing import Pair, Said, ShadowOrder
from tricorn.prove.recorder import Recorder, Seen
from tricorn.prove.shadow import Shadow
from tricorn.v1 import taps_pb2
from tricorn.v1.taps_tricorn import TapsServiceBase
from tricorn.wire import Call, Identity
from tricorn.wire.bindings import ALL
from tricorn.wire.errors import from_status

_log = telemetry.get_logger("tricorn.prove")


class TapsServer(TapsServiceBase):
    """Answers native processes.

    Args:
        recorder: Keeps what is to be recorded.
        shadow: Compares what is to be compared.
        look: Reads the orders and the bindings anew, for copies that come before this process has seen what asks for them.
    """

    def __init__(self, recorder: Recorder, shadow: Shadow, look: Callable[[], Awaitable[None]]) -> None:
        self._recorder = recorder
        self._shadow = shadow
        self._look = look

    async def take_calls(self, request: taps_pb2.TakeCallsRequest, call: Call) -> taps_pb2.TakeCallsResponse:
        if not (self._recorder.knows(_recordings(request)) and self._compares(request)):
            await self._look()
        for missing in request.missing:
            self._miss(request.process, missing)
        for copied in request.calls:
            self._take(request.process, copied)
        return taps_pb2.TakeCallsResponse()

    def _compares(self, request: taps_pb2.TakeCallsRequest) -> bool:
        """Whether all that is there to be compared is compared here by now."""
        return all(
            policy is None or self._shadow.compares(policy, implementation)
            for policy, implementation in _comparisons(request)
        )

    def _take(self, process: str, copied: taps_pb2.CopiedCall) -> None:
        policy = _policy(copied.method)
        if policy is None:
            _log.warning("copies of calls of a method that is unknown here", method=copied.method)
            return
        call, outcome = _call(copied), _outcome(copied)
        seconds, refusal = _seconds(copied.duration), outcome if isinstance(outcome, Refusal) else None
        answer = None if isinstance(outcome, Refusal) else outcome
        started = copied.start_time.ToNanoseconds() / 1e9
        seen = Seen(policy, copied.request, answer, refusal, started, seconds, copied.implementation, call)
        self._recorder.take(copied.recordings, process, seen)
        if copied.HasField("compare"):
            order = ShadowOrder(copied.compare.implementation, ALL, copied.compare.generation)
            pair = Pair(order, call, copied.request, Said(outcome, seconds), copied.implementation)
            self._shadow.take(policy, pair, _seconds(copied.copying))

    def _miss(self, process: str, missing: taps_pb2.MissingCalls) -> None:
        if missing.WhichOneof("sample") == "recording":
            self._recorder.miss(missing.recording, process, dropped=missing.dropped, too_large=missing.too_large)
        elif policy := _policy(missing.method):
            self._shadow.miss(policy, missing.compared_with, missing.dropped + missing.too_large)


def _recordings(request: taps_pb2.TakeCallsRequest) -> set[str]:
    copied = {name for each in request.calls for name in each.recordings}
    return copied | {each.recording for each in request.missing if each.WhichOneof("sample") == "recording"}


def _comparisons(request: taps_pb2.TakeCallsRequest) -> list[tuple[MethodPolicy | None, str]]:
    copied = {(each.method, each.compare.implementation) for each in request.calls if each.HasField("compare")}
    missing = {
        (each.method, each.compared_with) for each in request.missing if each.WhichOneof("sample") == "compared_with"
    }
    return [(_policy(method), implementation) for method, implementation in copied | missing]


def _policy(method: str) -> MethodPolicy | None:
    """None for a method that is unknown here."""
    try:
        return method_policy(method)
    except KeyError:
        return None


def _call(copied: taps_pb2.CopiedCall) -> Call:
    """What went with the call. Its deadline has passed."""
    said = copied.identity
    identity = Identity(said.user_id, said.session_id, frozenset(said.roles)) if copied.HasField("identity") else None
    return Call(copied.method, identity, 0.0, "", dict(copied.metadata))


def _outcome(copied: taps_pb2.CopiedCall) -> bytes | Refusal:
    if copied.WhichOneof("outcome") == "answer":
        return copied.answer
    return from_status(copied.status) or Refusal(PlatformReason.INTERNAL, copied.status.message)


def _seconds(duration: Duration) -> float:
    return duration.ToNanoseconds() / 1e9
