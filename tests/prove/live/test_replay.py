"""Playing a recording: what is played, when, and what is said of the answers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from probes import ADD, CONTRACT, GET, PUT, Two, messages

from tricorn.contract import PlatformReason, Refusal
from tricorn.prove.errors import ProveError
from tricorn.prove.orders import PARTS, RecordOrder
from tricorn.prove.recorder import Recorder
from tricorn.prove.recording import Recording, RecordingWriter, header_for
from tricorn.prove.replay import Pace, Player, Replayed
from tricorn.prove.report import replay_report, replay_text
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd, RecordingEntry
from tricorn.wire import Call, Identity, Wire, call_scope

USER = Identity("0190b6c0-0000-7000-8000-000000000000", "", frozenset({"staff"}))


class Seen:
    """A channel that remembers the calls it passes on."""

    target = "seen"

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.calls: list[Call] = []

    async def unary(self, policy: Any, request: Any, call: Call) -> Any:
        self.calls.append(call)
        return await self._channel.unary(policy, request, call)


async def _recorded(two: Two, home: Path) -> Recording:
    """Three additions, one of which was refused, a read for a user, and a write."""
    recorder = Recorder(home, "shop")
    wire = Wire(two)
    wire.taps.append(recorder)
    await recorder.follow({"r1": RecordOrder("r1", CONTRACT, (), 10_000, 2e10, 10**6)})
    await wire.call(ADD, messages().AddRequest(numbers=[1]))
    await wire.call(ADD, messages().AddRequest(numbers=[1, 2]))
    two.reference.change = _refuse(PlatformReason.NOT_FOUND)
    with pytest.raises(Refusal):
        await wire.call(ADD, messages().AddRequest(numbers=[3]))
    two.reference.change = lambda _, answer: answer
    with call_scope(identity=USER):
        await wire.call(GET, messages().GetRequest(name="x"))
    await wire.call(PUT, messages().PutRequest(name="x", value="y"))
    two.reference.put.clear()
    await recorder.follow({})
    return Recording.open(next((home / PARTS / "r1").glob("shop-*.rec")))


def _refuse(reason: PlatformReason) -> Any:
    return _raise(Refusal(reason, "no"))


def _raise(refusal: Refusal) -> Any:
    def refuse(*_: Any) -> Any:
        raise refusal

    return refuse


def _as_recorded(request: Any, answer: Any) -> Any:
    if list(request.numbers) == [3]:
        raise Refusal(PlatformReason.NOT_FOUND, "in other words")
    return answer


async def test_what_is_said_again_is_the_same(two: Two, tmp_path: Path) -> None:
    recording = await _recorded(two, tmp_path)
    two.candidate.add = _only_adding(two.candidate.add, _as_recorded)  # type: ignore[method-assign]

    replayed = await Player(recording, two.channels["rust"]).play()

    assert (replayed.played, replayed.same, replayed.different, replayed.errors) == (4, 4, 0, {})
    assert replayed.left_out == {"Put may have effects": 1}
    assert two.candidate.put == []


async def test_differences_are_counted_by_field_with_a_command_that_asks_again(two: Two, tmp_path: Path) -> None:
    recording = await _recorded(two, tmp_path)
    two.candidate.add = _only_adding(two.candidate.add, _plus_one)  # type: ignore[method-assign]

    replayed = await Player(recording, two.channels["rust"]).play()

    report = replay_report(replayed)
    assert (replayed.same, replayed.different) == (1, 3)
    assert replayed.fields == {"sum": 2, "outcome": 1}
    assert report["examples"][0]["differences"] == [{"path": "sum", "expected": "1", "actual": "2"}]
    assert report["examples"][0]["again"] == 'tricorn verify probe/Add --request \'{"numbers": ["1"]}\''
    assert any("for example sum: recorded 1, now 2" in line for line in replay_text(report))


async def test_calls_that_fail_are_errors_and_not_differences(two: Two, tmp_path: Path) -> None:
    recording = await _recorded(two, tmp_path)
    two.candidate.change = _refuse(PlatformReason.UNAVAILABLE)

    replayed = await Player(recording, two.channels["rust"]).play()

    assert (replayed.different, replayed.errors) == (0, {"UNAVAILABLE": 4})


async def test_calls_are_made_for_somebody_with_the_roles_of_whoever_called_and_lead_to_no_effect(
    two: Two, tmp_path: Path
) -> None:
    recording = await _recorded(two, tmp_path)
    channel = Seen(two.channels["rust"])

    await Player(recording, channel).play()  # type: ignore[arg-type]

    by_method = {call.method: call for call in channel.calls}
    identity = by_method[GET].identity
    assert identity is not None
    assert (identity.roles, identity.user_id != USER.user_id) == (frozenset({"staff"}), True)
    assert by_method[ADD].identity is None
    assert all(call.shadow for call in channel.calls)


async def test_an_answer_for_a_user_who_is_not_in_the_recording_says_nothing(two: Two, tmp_path: Path) -> None:
    recording = await _recorded(two, tmp_path)
    two.candidate.values["x"] = "another user's"
    two.candidate.add = _only_adding(two.candidate.add, _as_recorded)  # type: ignore[method-assign]

    replayed = await Player(recording, two.channels["rust"]).play()

    assert replayed.incomparable == {"it was made for a user, who is not in the recording": 1}


async def test_effects_are_played_only_when_they_are_wanted(two: Two, tmp_path: Path) -> None:
    recording = await _recorded(two, tmp_path)

    await Player(recording, two.channels["rust"], effects=True).play()

    assert [request.value for request in two.candidate.put] == ["y"]


async def test_a_request_whose_secrets_were_left_out_is_not_played(two: Two, tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    writer = RecordingWriter(path, header_for(CONTRACT, [], sample=10_000, process="shop"))
    call = RecordedCall(method="Add", redacted=["request.password"], answer=b"")
    writer.add(RecordingEntry(call=call).SerializeToString())
    writer.end(RecordingEnd.STOPPED)

    replayed = await Player(Recording.open(path), two.channels["rust"]).play()

    assert replayed.left_out == {"secrets of its request are not in the recording": 1}


async def test_secrets_of_what_is_said_now_are_neither_compared_nor_shown(two: Two, tmp_path: Path) -> None:
    recorder, wire = Recorder(tmp_path, "shop"), Wire(two)
    wire.taps.append(recorder)
    await recorder.follow({"r1": RecordOrder("r1", CONTRACT, (), 10_000, 2e10, 10**6)})
    secret = Refusal(PlatformReason.NOT_FOUND, "no", metadata={"access_token": "s3cret"})
    two.reference.change = _raise(secret)
    with pytest.raises(Refusal):
        await wire.call(ADD, messages().AddRequest(numbers=[1]))
    two.reference.change = lambda request, _: messages().GetResponse(value=request.name)
    await wire.call(GET, messages().GetRequest(name="x"))
    await recorder.close()
    recording = Recording.open(next((tmp_path / PARTS / "r1").glob("*.rec")))
    two.candidate.add = _only_adding(two.candidate.add, _raise(secret))  # type: ignore[method-assign]

    replayed = await Player(recording, two.channels["rust"]).play()

    assert (replayed.same, replayed.different, replayed.fields) == (1, 1, {"token": 1, "value": 1})
    assert "s3cret" not in str(replay_report(replayed))


async def test_a_sample_is_always_the_same(two: Two, tmp_path: Path) -> None:
    recording = await _many(two, tmp_path, 200)

    numbers = []
    for _ in range(2):
        asked: list[int] = []
        two.candidate.change = lambda request, answer, asked=asked: asked.append(request.numbers[0]) or answer
        await Player(recording, two.channels["rust"], Pace.of("max"), sample=2500).play()
        numbers.append(asked)

    assert numbers[0] == numbers[1]
    assert 30 < len(numbers[0]) < 70


async def test_calls_are_due_whether_or_not_earlier_ones_are_answered(two: Two, tmp_path: Path) -> None:
    recording = await _many(two, tmp_path, 20)
    everybody = asyncio.Barrier(20)
    answer = two.candidate.add

    async def wait_for_all(request: Any) -> Any:
        await everybody.wait()
        return await answer(request)

    two.candidate.add = wait_for_all  # type: ignore[method-assign]

    async with asyncio.timeout(20):
        replayed = await Player(recording, two.channels["rust"], Pace.of("1000")).play()

    assert (replayed.same, replayed.errors) == (20, {})


async def test_at_any_pace_only_so_many_are_asked_at_once(two: Two, tmp_path: Path) -> None:
    recording = await _many(two, tmp_path, 100)
    now = most = 0
    answer = two.candidate.add

    async def count(request: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(20):
            await asyncio.sleep(0)
        now -= 1
        return await answer(request)

    two.candidate.add = count  # type: ignore[method-assign]

    replayed = await Player(recording, two.channels["rust"], Pace.of("max")).play()

    assert replayed.same == 100
    assert most == 8


@pytest.mark.parametrize(("word", "due"), [("recorded", [0, 0.5]), ("10", [0, 0.1]), ("max", [0, 0])])
def test_the_pace_says_when_a_call_is_due(word: str, due: list[float]) -> None:
    pace = Pace.of(word)

    assert [pace.due(0, 0.0), pace.due(1, 0.5)] == due


@pytest.mark.parametrize("word", ["0", "-1", "fast", "nan", "inf"])
def test_what_is_no_pace_is_refused(word: str) -> None:
    with pytest.raises(ProveError, match="is no rate"):
        Pace.of(word)


async def test_a_recording_of_another_application_is_refused(two: Two, tmp_path: Path) -> None:
    header = header_for(CONTRACT, [], sample=10_000, process="shop")
    for file in header.files.file:
        if file.package == "probe.v1":
            file.service[0].name = "OtherService"
    header.contract = "probe.v1.OtherService"
    path = tmp_path / "other.rec"
    RecordingWriter(path, header).end(RecordingEnd.STOPPED)

    with pytest.raises(ProveError, match="which this application does not have"):
        await Player(Recording.open(path), two.channels["rust"]).play()


async def test_a_recording_of_an_older_contract_is_refused(two: Two, tmp_path: Path) -> None:
    header = header_for(CONTRACT, ["Add"], sample=10_000, process="shop")
    [file] = [file for file in header.files.file if file.package == "probe.v1"]
    next(each for each in file.message_type if each.name == "AddRequest").field[0].type = 9
    path = tmp_path / "old.rec"
    RecordingWriter(path, header).end(RecordingEnd.STOPPED)

    with pytest.raises(ProveError, match=r"AddRequest\.numbers is of another type"):
        await Player(Recording.open(path), two.channels["rust"]).play()


@pytest.mark.parametrize("damaged", [{"request": b"\xff"}, {"answer": b"\xff"}])
async def test_a_damaged_call_is_no_call_that_was_the_same(two: Two, tmp_path: Path, damaged: Any) -> None:
    path = tmp_path / "x.rec"
    writer = RecordingWriter(path, header_for(CONTRACT, [], sample=10_000, process="shop"))
    call = RecordedCall(method="Add", request=b"", answer=b"")
    for each in (call, RecordedCall(method="Add", **{"request": b"", "answer": b""} | damaged)):
        writer.add(RecordingEntry(call=each).SerializeToString())
    writer.end(RecordingEnd.STOPPED)

    with pytest.raises(ProveError, match="in it cannot be read"):
        await Player(Recording.open(path), two.channels["rust"], Pace.of("max")).play()


async def test_a_recording_that_broke_off_is_played_up_to_there(two: Two, tmp_path: Path) -> None:
    recording = await _many(two, tmp_path, 5)
    whole = recording.path.read_bytes()
    recording.path.write_bytes(whole[: max(position for position, _ in recording.positions()) + 7])

    replayed = await Player(recording, two.channels["rust"], Pace.of("max")).play()

    assert replayed.same == 4
    assert recording.broken


async def _many(two: Two, home: Path, calls: int) -> Recording:
    recorder = Recorder(home, "shop")
    wire = Wire(two)
    wire.taps.append(recorder)
    await recorder.follow({"r1": RecordOrder("r1", CONTRACT, (), 10_000, 2e10, 10**6)})
    for number in range(calls):
        await wire.call(ADD, messages().AddRequest(numbers=[number]))
    await recorder.follow({})
    return Recording.open(next((home / PARTS / "r1").glob("shop-*.rec")))


def _only_adding(add: Any, change: Any) -> Any:
    async def changed(request: Any) -> Any:
        return change(request, await add(request))

    return changed


def _plus_one(request: Any, answer: Any) -> Any:
    answer.sum += 1
    return answer


def test_an_empty_replay_has_a_report() -> None:
    assert next(iter(replay_text(replay_report(Replayed())))) == "played 0 calls in 0.0 s (0/s)"
