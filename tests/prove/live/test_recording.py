"""Recordings: what is kept, what is not, and files that are none."""

import asyncio
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import any_pb2
from probes import ADD, CONTRACT, GET, PUT, Two, messages

from tricorn.contract import PlatformReason, Refusal
from tricorn.prove.errors import ProveError
from tricorn.prove.framing import framed
from tricorn.prove.merging import Merged, merge
from tricorn.prove.orders import PARTS, RecordOrder, dump_orders, parse_orders
from tricorn.prove.recorder import Recorder
from tricorn.prove.recording import Recording, RecordingWriter, header_for
from tricorn.prove.redaction import redact
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd, RecordingEntry
from tricorn.wire import Identity, Wire, call_scope

USER = Identity("0190b6c0-0000-7000-8000-000000000000", "session-17", frozenset({"staff", "seller"}))


class Studio:
    """A wire whose calls are recorded by a process."""

    def __init__(self, two: Two, home: Path, process: str = "shop") -> None:
        self.two = two
        self.home = home
        self.now = 1000.0
        self.recorder = Recorder(home, process, now=lambda: self.now)
        self.wire = Wire(two)
        self.wire.taps.append(self.recorder)
        self.folder = home / PARTS / "r1"

    async def start(self, **order: Any) -> None:
        self.orders = {"r1": replace(RecordOrder("r1", CONTRACT, (), 10_000, 2000.0, 1_000_000), **order)}
        await self.recorder.follow(self.orders)

    async def add(self, *numbers: int) -> Any:
        return await self.wire.call(ADD, messages().AddRequest(numbers=numbers))

    async def stop(self) -> Recording:
        await self.recorder.follow({})
        return Recording.open(self.part)

    @property
    def part(self) -> Path:
        """What was written from its only start."""
        [part] = self.folder.glob("*.rec")
        return part

    def merged(self, most_bytes: int = 10**6) -> tuple[Merged, Recording]:
        """What all processes wrote from all their starts."""
        out = self.home / "out.rec"
        merged = merge([*self.folder.glob("*.*")], out, most_bytes=most_bytes)
        return merged, Recording.open(out)


@pytest.fixture
async def studio(two: Two, tmp_path: Path) -> AsyncIterator[Studio]:
    studio = Studio(two, tmp_path)
    yield studio
    await studio.recorder.close()


async def test_a_recording_can_be_read_without_the_application(studio: Studio) -> None:
    await studio.start()
    await studio.add(1, 2)
    recording = await studio.stop()

    [call] = recording.calls()
    request, answer = recording.request(call), recording.answer(call)

    assert type(request) is not messages().AddRequest  # made of the descriptors in the file
    assert list(request.numbers) == [1, 2]  # type: ignore[attr-defined]
    assert answer is not None
    assert answer.sum == 3  # type: ignore[attr-defined]
    assert (call.method, call.implementation, call.start_time.seconds) == ("Add", "python", 1000)
    assert call.duration.ToNanoseconds() > 0
    assert recording.end is not None
    assert (recording.end.reason, recording.end.calls, recording.broken) == (RecordingEnd.STOPPED, 1, "")


async def test_a_refusal_is_kept_with_its_reason(studio: Studio) -> None:
    def refuse(request: Any, answer: Any) -> Any:
        raise Refusal(PlatformReason.NOT_FOUND, "no", metadata={"access_token": "s3cret", "id": "7"})

    studio.two.reference.change = refuse
    await studio.start()

    with pytest.raises(Refusal):
        await studio.add(1)

    [call] = (await studio.stop()).calls()
    assert call.status.code == 5
    assert b"NOT_FOUND" in call.status.details[0].value
    assert b"s3cret" not in call.status.SerializeToString()


async def test_the_caller_is_reduced_to_roles_and_secrets_are_not_in_the_file(studio: Studio) -> None:
    await studio.start()
    with call_scope(identity=USER, metadata={"locale": "de", "authorization": "Bearer s3cret"}):
        await studio.wire.call(GET, messages().GetRequest(name="x"))

    [call] = (await studio.stop()).calls()

    assert (call.identified, list(call.roles)) == (True, ["seller", "staff"])
    assert dict(call.metadata) == {"locale": "de", "authorization": "[redacted]"}
    assert list(call.redacted) == ["answer.token"]
    content = studio.part.read_bytes()
    assert not any(word in content for word in (b"s3cret", b"session-17", USER.user_id.encode()))


def test_secrets_are_found_however_deep_they_lie(two: Two) -> None:
    secret = messages().Credentials(user="ada", password="s3cret", key=b"s3cret", codes=["s3cret"])
    packed, unknown = any_pb2.Any(), any_pb2.Any(type_url="type.example/of.Another", value=b"s3cret")
    packed.Pack(secret)
    request = messages().PutRequest(credentials=secret, others=[secret], named={"x": secret}, packed=packed)
    other = messages().PutRequest(packed=unknown)
    request.MergeFromString(b"\xfa\x3e\x06s3cret")  # a field that the contract does not know

    paths = redact(request, "request")

    assert b"s3cret" not in request.SerializeToString()
    assert request.credentials.user == "ada"
    assert request.credentials.password == "[redacted]"
    assert paths[:3] == [f"request.credentials.{name}" for name in ("password", "key", "codes")]
    assert {path.rpartition(".")[0] for path in paths[3:]} == {
        "request.others[0]",
        "request.named['x']",
        "request.packed",
    }
    assert redact(other) == ["packed"]
    assert not other.packed.value


async def test_only_the_methods_and_the_share_that_were_asked_for_are_recorded(two: Two, tmp_path: Path) -> None:
    lots = iter([0.04, 0.06, 0.0499, 0.9])
    studio = Studio(two, tmp_path)
    studio.recorder = Recorder(tmp_path, "shop", dice=lambda: next(lots))
    studio.wire.taps[:] = [studio.recorder]
    await studio.start(methods=("Add",), sample=500, until=2e10)

    await studio.wire.call(PUT, messages().PutRequest(name="x"))
    for number in range(4):
        await studio.add(number)

    recording = await studio.stop()
    assert [list(recording.request(call).numbers) for call in recording.calls()] == [[0], [2]]  # type: ignore[attr-defined]
    assert list(recording.header.methods) == ["Add"]


async def test_copies_of_calls_are_not_recorded(studio: Studio) -> None:
    await studio.start()
    with call_scope(shadow=True):
        await studio.add(1)

    assert list((await studio.stop()).calls()) == []


async def test_a_recording_ends_when_its_time_is_up(studio: Studio) -> None:
    await studio.start(until=1060.0)
    await studio.add(1)
    studio.now = 1060.0

    await studio.recorder.follow(studio.orders)
    await studio.add(2)

    recording = Recording.open(studio.part)
    assert len(list(recording.calls())) == 1
    assert recording.end is not None
    assert recording.end.reason == RecordingEnd.TIME
    assert not studio.recorder.active


async def test_a_recording_is_no_larger_than_allowed(studio: Studio) -> None:
    await studio.start(most_bytes=60_000)

    for _ in range(20):
        await studio.add(*range(1000))
        await studio.recorder.follow(studio.orders)

    recording = Recording.open(studio.part)
    calls = len(list(recording.calls()))
    assert 1 <= calls < 20
    assert studio.part.stat().st_size < 60_100
    assert recording.end is not None
    assert recording.end.reason == RecordingEnd.SIZE
    assert not studio.recorder.active


async def test_it_is_no_larger_however_many_processes_write_it_and_however_often_they_start(
    studio: Studio, two: Two
) -> None:
    others = [Studio(two, studio.home, "worker"), *(Studio(two, studio.home) for _ in range(4))]

    for each in (studio, *others):
        await each.start(most_bytes=60_000)
        for _ in range(2):
            await each.add(*range(1000))
            await each.recorder.follow(each.orders)

    for each in (studio, *others):
        await each.recorder.close()
    written = sum(len(list(Recording.open(part).calls())) for part in studio.folder.glob("*.rec"))
    merged, recording = studio.merged(60_000)
    assert 30_000 < merged.bytes <= 60_000
    assert (merged.full, merged.calls, len(list(recording.calls()))) == (True, written, written)
    assert recording.end is not None
    assert (recording.end.reason, recording.end.calls) == (RecordingEnd.SIZE, merged.calls)


async def test_what_several_wrote_at_the_same_time_beyond_the_size_is_left_out(studio: Studio, two: Two) -> None:
    other = Studio(two, studio.home, "worker")
    for each in (studio, other):
        await each.start()
        for number in range(50):
            each.now += 1
            await each.add(number)
        await each.recorder.follow({})

    most = max(part.stat().st_size for part in studio.folder.iterdir()) + 1000

    merged, recording = studio.merged(most)

    calls = list(recording.calls())
    assert merged.full
    assert most - 100 < merged.bytes <= most
    assert [call.start_time.seconds for call in calls] == sorted([*range(1001, 1051), *range(1001, 1051)])[: len(calls)]


async def test_nobody_else_can_read_it(studio: Studio) -> None:
    await studio.start()
    recording = await studio.stop()
    out = studio.home / "out.rec"

    merge([recording.path], out, most_bytes=10**6)

    assert [stat.S_IMODE(path.stat().st_mode) for path in (studio.part, out)] == [0o600, 0o600]


async def test_an_order_goes_through_its_file(studio: Studio) -> None:
    await studio.start(methods=("Add",))

    assert parse_orders(dump_orders(studio.orders)) == studio.orders


async def test_parts_are_merged_in_order_of_time(studio: Studio, tmp_path: Path) -> None:
    parts = []
    for name, starts in (("a", [1, 4, 3]), ("b", [2])):
        part = tmp_path / f"{name}.part"
        writer = RecordingWriter(part, header_for(CONTRACT, ["Add"], sample=10_000, process=name))
        for start in starts:
            call = RecordedCall(method="Add", request=messages().AddRequest(numbers=[start]).SerializeToString())
            call.start_time.FromSeconds(start)
            writer.add(RecordingEntry(call=call).SerializeToString())
        writer.end(RecordingEnd.STOPPED, dropped=2)
        parts.append(part)

    merged = merge(parts, tmp_path / "out.rec", most_bytes=10**6)

    recording = Recording.open(tmp_path / "out.rec")
    assert [call.start_time.seconds for call in recording.calls()] == [1, 2, 3, 4]
    assert (merged.calls, merged.dropped, merged.broken) == (4, 4, [])
    assert list(recording.header.processes) == ["a", "b"]


async def test_what_was_recorded_before_a_process_was_killed_stays_and_the_rest_is_added(
    studio: Studio, two: Two
) -> None:
    await studio.start()
    await studio.add(1)
    await studio.recorder.follow(studio.orders)
    again = Studio(two, studio.home)  # with the process id of the first, as it comes again in a container

    await again.start()
    await again.add(2)
    await again.stop()

    merged, recording = studio.merged()
    assert [list(recording.request(call).numbers) for call in recording.calls()] == [[1], [2]]  # type: ignore[attr-defined]
    assert (merged.restarts, len(merged.broken)) == ({"shop": 1}, 1)
    assert list(recording.header.processes) == ["shop"]


async def test_a_recorder_that_was_closed_and_begins_again_replaces_nothing(studio: Studio) -> None:
    for number in range(3):
        await studio.start()
        await studio.add(number)
        await studio.recorder.close()

    merged, recording = studio.merged()

    assert [list(recording.request(call).numbers) for call in recording.calls()] == [[0], [1], [2]]  # type: ignore[attr-defined]
    assert (merged.restarts, merged.broken) == ({"shop": 2}, [])


@pytest.mark.parametrize("length", [0, 40])
async def test_a_part_that_ends_before_its_first_call_does_not_spoil_the_others(studio: Studio, length: int) -> None:
    await studio.start()
    await studio.add(1)
    recording = await studio.stop()
    (studio.folder / "worker-1-000000.part").write_bytes(recording.path.read_bytes()[:length])

    merged, _ = studio.merged()

    assert merged.calls == 1
    assert [why.partition(":")[0] for why in merged.broken] == ["worker-1-000000"]


async def test_a_truncated_recording_is_read_up_to_the_break_and_says_so(studio: Studio) -> None:
    await studio.start()
    for number in range(5):
        await studio.add(number)
    recording = await studio.stop()
    first = min(position for position, _ in recording.positions())
    whole = recording.path.read_bytes()
    cut = studio.home / "cut.rec"
    lengths = set()

    for end in range(first, len(whole)):
        cut.write_bytes(whole[:end])
        recording = Recording.open(cut)
        calls = list(recording.calls())
        lengths.add(len(calls))
        assert recording.broken
        assert recording.end is None
        assert [recording.request(call).numbers[0] for call in calls] == list(range(len(calls)))  # type: ignore[attr-defined]

    assert lengths == {0, 1, 2, 3, 4, 5}


def test_an_entry_of_fifty_megabytes_is_refused(two: Two, tmp_path: Path) -> None:
    path = tmp_path / "large.rec"
    header = header_for(CONTRACT, [], sample=10_000, process="shop")
    path.write_bytes(framed(RecordingEntry(header=header).SerializeToString()) + framed(bytes(50_000_000)))

    with pytest.raises(ProveError, match=r"claims to be 50\.0 MB long"):
        list(Recording.open(path).calls())


@pytest.mark.parametrize("content", [b"", b"{}", b"\x05hello", b"\xff" * 40, b"\x02\x0a\x00"])
def test_what_is_no_recording_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(content)

    with pytest.raises(ProveError, match=r"is no recording"):
        Recording.open(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProveError, match=r"cannot be read"):
        Recording.open(tmp_path / "nowhere.rec")


def test_a_contract_that_has_moved_on_is_told_from_the_one_that_was_recorded(two: Two, tmp_path: Path) -> None:
    header = header_for(CONTRACT, ["Add", "Get"], sample=10_000, process="shop")
    [file] = [file for file in header.files.file if file.name == "probe/v1/probe.proto"]
    request = next(each for each in file.message_type if each.name == "AddRequest")
    request.field.add(name="gone", number=9, type=9, label=1, json_name="gone")
    file.service[0].method[1].name = "Fetch"
    header.methods[:] = ["Add", "Fetch"]
    path = tmp_path / "old.rec"
    RecordingWriter(path, header).end(RecordingEnd.STOPPED)

    changes = Recording.open(path).changes(messages().DESCRIPTOR.services_by_name["ProbeService"])

    assert changes == ["probe.v1.AddRequest.gone is gone", "the method Fetch is gone"]


async def test_a_burst_that_cannot_be_written_is_dropped_and_counted(studio: Studio) -> None:
    await studio.start(most_bytes=10**9)

    async with asyncio.timeout(20):
        for number in range(2100):
            await studio.add(number)

    recording = await studio.stop()
    assert len(list(recording.calls())) == 2000
    assert recording.end is not None
    assert recording.end.dropped == 100
