"""`shadow`, `record` and `replay`: what they refuse, in words for whoever typed them."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from probes import CONTRACT, Answers, Two, server

from tricorn.cli.main import main
from tricorn.prove.framing import framed
from tricorn.prove.orders import FILE, PARTS, Orders, RecordOrder, parse_orders
from tricorn.prove.recorder import Recorder
from tricorn.prove.recording import Recording, RecordingWriter, header_for
from tricorn.supervise.binding import BindingWriter
from tricorn.supervise.control import Control
from tricorn.supervise.home import Home
from tricorn.supervise.proving import Proving
from tricorn.telemetry import CallStats
from tricorn.v1.recording_pb2 import RecordedCall, RecordingEnd, RecordingEntry
from tricorn.wire import GrpcServer, Service, Wire

LONGEST = 20.0
MANIFEST = f"""
[application]
name = "probe"
title = "Probe"
package = "probe"
python_package = "probe_proto"

[contexts.probe]
package = "probe"
contracts = ["{CONTRACT}"]
database = false

[processes.all]
contexts = ["probe"]
gateway = true

[shapes.python]
processes = ["all"]
"""


@pytest.fixture
def application(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The probe as an application, whose home is beside it."""
    root = tmp_path / "app"
    (root / "src").mkdir(parents=True)
    (root / "src" / "probe_proto").symlink_to(generated / "probe_proto")
    (root / "proto").symlink_to(Path(__file__).parent / "proto")
    (root / "tricorn.toml").write_text(MANIFEST)
    monkeypatch.setenv("TRICORN_APP", str(root))
    monkeypatch.setenv("TRICORN_HOME", str(tmp_path / "home"))
    return root


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(words)
    shown = capsys.readouterr()
    return status, shown.out + shown.err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["shadow", "nothing"], "there is no contract 'nothing'; choose one of: probe"),
        (["shadow", "probe/Ad"], "probe has no method 'Ad'; choose one of: Add, Get, Put, Sneak"),
        (["shadow", "probe/Put", "--to", "rust"], "probe/Put may have effects"),
        (["shadow", "probe"], "probe has no implementation but python"),
        (["shadow", "probe", "--to", "rust"], "nothing runs in"),
        (["shadow", "probe", "--to", "rust", "--sample", "0%"], "--sample 0% is no share of the calls"),
        (["shadow", "probe", "--to", "rust", "--sample", "101"], "--sample 101 is no share of the calls"),
        (["shadow", "probe", "--stop"], "nothing runs in"),
        (["shadow", "probe", "--report"], "nothing of probe was compared in"),
        (["record", "probe", "--out", "{tmp}/x.rec"], "nothing runs in"),
        (["record", "probe", "--out", "{tmp}/x.rec", "--for", "never"], "--for never is no time"),
        (["record", "probe", "--out", "{tmp}/x.rec", "--max-size", "0MB"], "--max-size 0MB is no size"),
        (["record", "probe", "--out", "{tmp}/app/tricorn.toml"], "exists already"),
        (["record", "probe", "--out", "{tmp}/no/x.rec"], "there is no folder"),
        (["replay", "{tmp}/no.rec"], "cannot be read"),
        (["replay", "{tmp}/app/tricorn.toml"], "is no recording"),
    ],
)
def test_what_cannot_be_done_is_said(
    words: list[str], why: str, application: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = said(capsys, *(word.format(tmp=tmp_path) for word in words))

    assert status == 1
    assert why in shown
    assert "  -> " in shown
    assert not (tmp_path / "x.rec").exists()


def _recording(path: Path, *extra: bytes) -> Path:
    writer = RecordingWriter(path, header_for(CONTRACT, [], sample=10_000, process="all"))
    for number in range(3):
        call = RecordedCall(
            method="Add", request=bytes([0x0A, 1, number]), answer=bytes([0x08, number, 0x12, 2, 8, number])
        )
        if number == 0:
            call.answer = b"\x12\x00"
        writer.add(RecordingEntry(call=call).SerializeToString())
    writer.end(RecordingEnd.STOPPED)
    with path.open("ab") as file:
        file.writelines(extra)
    return path


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "no python implementation of probe.v1.ProbeService runs in"),
        (["--against", "rust"], "no rust implementation of probe.v1.ProbeService runs in"),
        (["--with-effects"], "--with-effects needs the address of another system"),
        (["--rate", "fast"], "--rate fast is no rate"),
    ],
)
def test_a_replay_that_cannot_be_is_refused(
    options: list[str], why: str, application: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, shown = said(capsys, "replay", str(_recording(tmp_path / "x.rec")), *options)

    assert status == 1
    assert why in shown


class Side:
    """Something that goes on in a thread with an event loop of its own, while a command blocks this one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@pytest.fixture
def side() -> Iterator[Side]:
    side = Side()
    yield side
    side.end()


def test_a_replay_over_a_socket_compares(
    application: Path, side: Side, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def serve(answers: Answers) -> GrpcServer:
        service = Service(CallStats())
        service.add(server(answers))
        grpc = GrpcServer(service, f"unix:{tmp_path}/s")
        await grpc.start()
        return grpc

    answers = Answers()
    grpc = side.do(serve(answers))
    recording = str(_recording(tmp_path / "x.rec"))
    try:
        status, shown = said(capsys, "replay", recording, "--against", f"unix:{tmp_path}/s")
        answers.change = lambda _, answer: type(answer)(sum=9)
        wrong, told = said(capsys, "replay", recording, "--against", f"unix:{tmp_path}/s", "--rate", "max")
    finally:
        side.do(grpc.stop(1))

    assert status == 0
    assert "same 3 · different 0 · errors 0" in shown
    assert wrong == 1
    assert "same 0 · different 3" in told
    assert "verify probe/Add --request" in told


def test_an_entry_of_fifty_megabytes_ends_a_replay_with_a_word(
    application: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = _recording(tmp_path / "x.rec", framed(bytes(50_000_000)))

    status, shown = said(capsys, "replay", str(recording), "--against", f"unix:{tmp_path}/nobody")

    assert status == 1
    assert "claims to be 50.0 MB long" in " ".join(shown.split())  # lines end where the path is long


class Stage:
    """The supervisor's part and the processes' part in a thread, while a command blocks this one."""

    def __init__(self, home: Home, two: Two, side: Side) -> None:
        self.home = home
        self._side = side
        self._wire = Wire(two)
        self._control = Control(home)
        self._stop = asyncio.Event()
        self._play: Any = None
        home.make()
        home.lock()
        Proving(home, BindingWriter(home)).listen(self._control)
        side.do(self._control.start())

    def begin(self, play: Callable[["Stage"], Awaitable[None]]) -> None:
        async def until_the_end() -> None:
            try:
                async with asyncio.timeout(LONGEST):
                    while not self._orders():  # noqa: ASYNC110 - it looks at a file, as processes do
                        await asyncio.sleep(0.02)
                    await play(self)
            except BaseException:
                await self.down()
                raise

        self._play = asyncio.run_coroutine_threadsafe(until_the_end(), self._side.loop)

    def end(self) -> None:
        try:
            if self._play is not None:
                self._play.result(2 * LONGEST)
        finally:
            self._side.do(self.down())

    async def down(self) -> None:
        """As `tricorn down` would. It ends a command that waits, too."""
        await self._control.stop()
        self.home.unlock()

    async def recorder(self, process: str) -> Recorder:
        """Of a process that has just started, and from now on the only one to see calls."""
        recorder = Recorder(self.home.path, process)
        self._wire.taps[:] = [recorder]
        await recorder.follow(self._orders())
        return recorder

    async def call(self, recorder: Recorder, *numbers: int) -> None:
        from probes import ADD, messages  # noqa: PLC0415

        await self._wire.call(ADD, messages().AddRequest(numbers=numbers))
        await recorder.follow(self._orders())

    async def until_it_has_ended(self, recorder: Recorder) -> None:
        while self._orders():
            await self.call(recorder, 1)
            await asyncio.sleep(0.02)
        await recorder.close()

    def _orders(self) -> Orders:
        path = self.home.path / FILE
        return parse_orders(path.read_bytes()) if path.exists() else {}


@pytest.fixture
def stage(application: Path, two: Two, side: Side, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(Home(tmp_path / "home"), two, side)
    yield stage
    stage.end()


def test_a_recording_is_ordered_made_and_merged(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(stage: Stage) -> None:
        await stage.until_it_has_ended(await stage.recorder("all"))

    stage.begin(play)
    status, shown = said(capsys, "record", "probe", "--out", str(tmp_path / "x.rec"), "--for", "1s")

    assert status == 0
    assert "calls, 0." in shown
    assert (tmp_path / "x.rec").stat().st_size > 1000
    assert list((stage.home.path / PARTS).iterdir()) == []


def test_a_process_that_starts_again_does_not_end_a_recording_and_what_stops_it_all_does(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(stage: Stage) -> None:
        for number in range(2):
            recorder = await stage.recorder("all")
            monkeypatch.setattr("tricorn.cli.record._BEGIN_SECONDS", 0.0)
            await stage.call(recorder, number)
            await recorder.close()
            await asyncio.sleep(0.5)  # longer than the command needs to look
        await stage.down()

    stage.begin(play)
    out = tmp_path / "x.rec"
    status, shown = said(capsys, "record", "probe", "--out", str(out), "--for", "10m")

    recording = Recording.open(out)
    assert status == 0
    assert [list(recording.request(call).numbers) for call in recording.calls()] == [[0], [1]]  # type: ignore[attr-defined]
    assert "nothing runs in" in shown
    assert "all was started anew 1 times meanwhile" in shown


def test_a_recording_of_several_processes_ends_when_together_they_wrote_as_much_as_it_may_hold(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(stage: Stage) -> None:
        recorders = []
        for name in ("all", "worker", "all"):
            recorders.append(await stage.recorder(name))
            for _ in range(8):
                await stage.call(recorders[-1], *range(500))
        await stage.until_it_has_ended(recorders[-1])
        for each in recorders:
            await each.close()

    stage.begin(play)
    out = tmp_path / "x.rec"
    status, shown = said(capsys, "record", "probe", "--out", str(out), "--for", "10m", "--max-size", "60kB")

    assert status == 0
    assert "as large as it may be" in shown
    assert 30_000 < out.stat().st_size <= 60_000


def test_of_two_recordings_to_one_file_the_second_is_refused(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("record", "probe", "--out", str(tmp_path / "x.rec"), "--for", "1s")
    second: list[int] = []

    async def play(stage: Stage) -> None:
        recorder = await stage.recorder("all")
        second.append(await asyncio.to_thread(main, words))
        await stage.until_it_has_ended(recorder)

    stage.begin(play)
    status, shown = said(capsys, *words)

    assert (status, second) == (0, [1])
    assert "x.rec exists already" in shown


def test_orders_name_what_they_want() -> None:
    order = RecordOrder("r", CONTRACT, ("Add",), 1, 0, 1)

    assert [order.wants(CONTRACT, "Add"), order.wants(CONTRACT, "Get"), order.wants("x", "Add")] == [True, False, False]
