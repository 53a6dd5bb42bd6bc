"""Calls that native processes made: recorded and compared here by their copies, as if they had been made here."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.status_pb2 import Status
from probes import ADD, CONTRACT, GET, PUT, Two, messages

from tricorn.contract import PlatformReason, Refusal
from tricorn.prove.copies import TapsServer
from tricorn.prove.figures import Comparisons, Figures, Pairing
from tricorn.prove.orders import PARTS, RecordOrder
from tricorn.prove.recorder import Recorder
from tricorn.prove.recording import Recording
from tricorn.prove.shadow import Shadow, ShadowOrder
from tricorn.prove.tally import Arm, Tallies
from tricorn.telemetry import CallStats
from tricorn.v1 import taps_pb2
from tricorn.v1.recording_pb2 import RecordingEnd
from tricorn.v1.taps_tricorn import TapsServiceClient
from tricorn.wire import Endpoints, Service, Wire
from tricorn.wire.errors import to_status

TO_COMPARE = taps_pb2.CopyToCompare(implementation="rust", generation=6)
USER = taps_pb2.CallIdentity(user_id="0190b6c0-0000-7000-8000-000000000000", session_id="session-17", roles=["staff"])


class Desk:
    """A process called ``shop`` that has the reference; another called ``edge`` hands it copies."""

    def __init__(self, two: Two, home: Path) -> None:
        self.now = 1000.0
        self.home = home
        self.orders = {"r1": RecordOrder("r1", CONTRACT, (), 10_000, 2000.0, 1_000_000)}
        self.shadowed: ShadowOrder | None = ShadowOrder("rust", 10_000, 7)
        self.unseen: ShadowOrder | None = None
        self.tallies = Tallies()
        self.recorder = Recorder(home, "shop", now=lambda: self.now)
        self.shadow = Shadow(lambda _: self.shadowed, two.reach, Comparisons(), self.tallies, rest=0)
        service = Service(CallStats())
        service.add(TapsServer(self.recorder, self.shadow, self.look))
        self._client = TapsServiceClient(Wire(Endpoints(service)))

    async def look(self) -> None:
        self.shadowed, self.unseen = self.unseen or self.shadowed, None
        await self.recorder.follow(self.orders)

    async def hand(self, *calls: taps_pb2.CopiedCall, missing: tuple[taps_pb2.MissingCalls, ...] = ()) -> None:
        await self._client.take_calls(taps_pb2.TakeCallsRequest(process="edge", calls=calls, missing=missing))

    async def recorded(self) -> Recording:
        """What the other's calls became, once nothing more can come."""
        self.orders = {}
        await self.look()
        self.now += 1
        await self.look()
        parts = map(Recording.open, (self.home / PARTS / "r1").glob("*.rec"))
        return next(part for part in parts if list(part.header.processes) == ["edge"])

    async def figures(self, method: str = ADD) -> Figures:
        await self.shadow.idle()
        return self.shadow.found.of(Pairing(method, "rust"))


@pytest.fixture
async def desk(two: Two, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(two, tmp_path)
    yield desk
    await desk.shadow.close()
    await desk.recorder.close()


def copied(method: str, request: Any, answer: Any, **said: Any) -> taps_pb2.CopiedCall:
    """A call as the other process saw it."""
    outcome: dict[str, Any] = (
        {"status": Status.FromString(to_status(answer)[1])}
        if isinstance(answer, Refusal)
        else {"answer": answer.SerializeToString()}
    )
    call = taps_pb2.CopiedCall(method=method, request=request.SerializeToString(), **outcome, **said)
    call.start_time.FromSeconds(999)
    call.duration.CopyFrom(Duration(nanos=250_000))
    call.copying.CopyFrom(Duration(nanos=2_000))
    return call


def added(*numbers: int, answer: int | None = None, **said: Any) -> taps_pb2.CopiedCall:
    sums = [sum(numbers[: index + 1]) for index in range(len(numbers))]
    response = messages().AddResponse(sum=sum(numbers) if answer is None else answer)
    for each in sums:
        response.steps.add(so_far=each)
    return copied(ADD, messages().AddRequest(numbers=numbers), response, **said)


def got(answer: Any, **said: Any) -> taps_pb2.CopiedCall:
    return copied(GET, messages().GetRequest(name="x"), answer, identity=USER, **said)


async def test_a_copy_is_recorded_as_the_other_process_s_call_without_what_is_secret(desk: Desk) -> None:
    await desk.look()
    answer = messages().GetResponse(value="of x", token="s3cret")

    await desk.hand(got(answer, recordings=["r1"], implementation="rust", metadata={"authorization": "Bearer s3cret"}))

    recording = await desk.recorded()
    [call] = recording.calls()
    assert list(recording.header.processes) == ["edge"]
    assert (call.method, call.implementation, call.start_time.seconds) == ("Get", "rust", 999)
    assert (call.duration.nanos, call.identified, list(call.roles)) == (250_000, True, ["staff"])
    assert (list(call.redacted), dict(call.metadata)) == (["answer.token"], {"authorization": "[redacted]"})
    content = recording.path.read_bytes()
    assert not any(word in content for word in (b"s3cret", b"session-17", USER.user_id.encode()))
    assert recording.end is not None
    assert recording.end.reason == RecordingEnd.STOPPED


async def test_a_refusal_is_recorded_with_all_that_it_says(desk: Desk) -> None:
    refusal = Refusal(PlatformReason.NOT_FOUND, "no x", metadata={"id": "7"})

    await desk.hand(got(refusal, recordings=["r1"]))

    [call] = (await desk.recorded()).calls()
    assert call.status == Status.FromString(to_status(refusal)[1])


async def test_copies_may_come_before_the_order_that_asks_for_them_is_seen_here(desk: Desk) -> None:
    await desk.hand(added(1, recordings=["r1"]))

    assert len(list((await desk.recorded()).calls())) == 1


async def test_what_is_missing_may_come_before_the_order_that_asked_for_it_is_seen_here(desk: Desk) -> None:
    await desk.hand(missing=(taps_pb2.MissingCalls(method=ADD, recording="r1", dropped=5),))

    recording = await desk.recorded()
    assert list(recording.calls()) == []
    assert recording.end is not None
    assert recording.end.dropped == 5


@pytest.mark.parametrize("missing", [False, True])
async def test_what_is_to_be_compared_may_come_before_the_binding_that_says_so_is_seen_here(
    desk: Desk, missing: bool
) -> None:
    desk.shadowed, desk.unseen = None, desk.shadowed

    if missing:
        await desk.hand(missing=(taps_pb2.MissingCalls(method=ADD, compared_with="rust", dropped=2),))
    else:
        await desk.hand(added(1, 2, compare=TO_COMPARE, implementation="python"))

    figures = await desk.figures()
    assert (figures.same, figures.dropped) == ((0, 2) if missing else (1, 0))


async def test_a_copy_that_was_on_its_way_as_the_recording_ended_is_kept_and_later_ones_are_not(desk: Desk) -> None:
    order = desk.orders["r1"]
    await desk.hand(added(1, recordings=["r1"]))
    desk.orders = {}
    await desk.look()

    await desk.hand(added(2, recordings=["r1"]))
    recording = await desk.recorded()
    await desk.hand(added(3, recordings=["r1"]))

    assert len(list(recording.calls())) == 2
    desk.orders = {"r1": replace(order, until=desk.now)}
    await desk.hand(added(4, recordings=["r1"]))
    assert [part.name for part in (desk.home / PARTS / "r1").iterdir() if part.suffix == ".part"] == []


async def test_a_copy_is_compared_with_the_other_implementation(desk: Desk) -> None:
    await desk.hand(
        added(1, 2, compare=TO_COMPARE, implementation="python"),
        added(1, 2, answer=4, compare=TO_COMPARE, implementation="rust"),
    )

    figures = await desk.figures()
    assert (figures.same, figures.different, figures.reversed, figures.fields) == (1, 1, 1, {"sum": 1})
    assert figures.path.total == 2
    assert desk.tallies.arm(Arm(ADD, "rust", 6)).compared == 2


async def test_refusals_are_compared_too(desk: Desk) -> None:
    refusal = Refusal(PlatformReason.NOT_FOUND, "no x")

    await desk.hand(got(refusal, compare=TO_COMPARE, implementation="rust"))

    # Asked once more, the candidate says something else: this one never refuses.
    assert (await desk.figures(GET)).incomparable == {"state moved": 1}


async def test_nothing_that_may_have_effects_is_asked_again_nor_what_is_compared_no_more(desk: Desk, two: Two) -> None:
    put = copied(PUT, messages().PutRequest(name="x"), messages().PutResponse(), compare=TO_COMPARE)
    put.implementation = "rust"
    await desk.hand(put)
    desk.shadowed = ShadowOrder("go", 10_000, 8)
    await desk.hand(added(1, compare=TO_COMPARE, implementation="python"))
    desk.shadowed = None
    await desk.hand(added(1, compare=TO_COMPARE, implementation="python"))

    await desk.shadow.idle()
    assert desk.shadow.found.pairings == {}
    assert (two.reference.put, two.candidate.asked, two.reference.asked) == ([], 0, 0)


async def test_what_the_other_process_could_not_copy_is_counted(desk: Desk) -> None:
    await desk.look()
    recorded = taps_pb2.MissingCalls(method=ADD, recording="r1", dropped=3, too_large=1)
    compared = taps_pb2.MissingCalls(method=ADD, compared_with="rust", dropped=2, too_large=1)
    unknown = taps_pb2.MissingCalls(method="no.such.v1.Service/Method", compared_with="rust", dropped=9)

    await desk.hand(missing=(recorded, compared, unknown))

    assert (await desk.figures()).dropped == 3
    recording = await desk.recorded()
    assert list(recording.calls()) == []
    assert recording.end is not None
    assert (recording.end.dropped, recording.end.too_large) == (3, 1)


async def test_a_name_that_would_lead_out_of_the_folder_is_refused(desk: Desk) -> None:
    await desk.look()
    with pytest.raises(Refusal, match="process"):
        await desk._client.take_calls(taps_pb2.TakeCallsRequest(process="../edge", calls=[added(1, recordings=["r1"])]))
