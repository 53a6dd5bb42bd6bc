"""Calls over a unix socket, as HTTP/2 sees them: whatever a server may say, a caller gets an answer or a refusal."""

import asyncio
import base64
import contextlib
import select
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvloop
from google.rpc import status_pb2
from http2_server import (
    CONTINUATION,
    DATA,
    DONE,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    OK,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    Said,
    answer,
    saying,
)
from metering import SERVICE

from tricorn.contract import PlatformReason, Refusal, method_policy
from tricorn.telemetry import CallStats
from tricorn.wire import Call, Endpoints, Service, Wire
from tricorn.wire.http2.calls import Connection
from tricorn.wire.http2.hpack import BrokenHeadersError, decoded, literal
from tricorn.wire.remote import MAX_MESSAGE_BYTES, RemoteChannel
from tricorn.wire.resilience import Backoff

_REFUSED, _CANCEL = 7, 8


def _status_with(reason: bytes) -> bytes:
    status = status_pb2.Status(code=4)
    status.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=reason)
    return base64.b64encode(status.SerializeToString())


@pytest.fixture
async def caller(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Wire, str]]:
    """A caller, and the path of the socket that it calls."""
    path = f"{tmp_path_factory.mktemp('h')}/s"
    endpoints = Endpoints(Service(CallStats()), {SERVICE: [f"unix:{path}"]})
    yield Wire(endpoints, backoff=Backoff(attempts=1)), path
    await endpoints.close()


async def _add(wire: Wire, what: str = "") -> Any:
    policy = method_policy(f"{SERVICE}/Add")
    return await wire.invoke(policy, policy.input(what=what))


def _reading(name: str) -> bytes:
    return bytes(method_policy(f"{SERVICE}/Add").output(answered_by=name).SerializeToString())


async def test_an_answer_may_come_in_pieces_of_any_shape(caller: tuple[Wire, str]) -> None:
    wire, path = caller
    message = _reading("x" * 50)
    body = b"\x00" + len(message).to_bytes(4) + message

    async def script(said: Said) -> None:
        number = (await said.hears(HEADERS)).stream
        frames = (
            Frame(HEADERS, PADDED, number, b"\x02" + bytes(2)),
            Frame(CONTINUATION, END_HEADERS, number, OK),
            Frame(DATA, PADDED, number, b"\x03" + body[:7] + bytes(3)),
            Frame(DATA, 0, number, b""),
            Frame(DATA, 0, number, body[7:]),
            Frame(HEADERS, END_HEADERS | END_STREAM, number, DONE),
        )
        for byte in b"".join(frame.packed for frame in frames):
            said.writer.write(bytes((byte,)))
            await said.writer.drain()
        await said.reader.read()

    async with saying(path, script):
        reading = await _add(wire)

    assert reading.answered_by == "x" * 50


async def test_messages_longer_than_the_windows_arrive_whole(
    generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = f"{tmp_path_factory.mktemp('h')}/s"

    async def echo(request: bytes, _: Any) -> bytes:
        return request

    handler = grpc.unary_unary_rpc_method_handler(echo)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("any.Echo", {"Say": handler}),))
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_unix_connection(lambda: Connection(2**23), path)
    head = b"\x83\x86\x04\x0d/any.Echo/Say\x01\x09localhost" + literal(b"te", b"trailers")
    head += literal(b"content-type", b"application/grpc") + literal(b"tricorn-meta-long", b"m" * 5000)
    messages = [
        bytes((number,)) * size for number, size in enumerate((0, 1, *8 * (16_000,), 65_530, 3_000_000, 100_000))
    ]

    answers = await asyncio.gather(*(connection.unary(head, message, 30) for message in messages))

    assert answers == messages
    connection.close()
    await server.stop(0)


async def test_no_more_is_sent_than_the_server_has_room_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = f"{tmp_path_factory.mktemp('h')}/s"
    messages = [bytes((number,)) * 15_995 for number in range(5)]  # with their prefixes 80,000 bytes

    async def script(said: Said) -> None:
        sent: dict[int, bytes] = {}
        while len(sent) < len(messages):
            part = await said.hears(DATA)
            sent[part.stream] = part.payload
        said.say(Frame(PING, 0, 0, bytes(8)))
        assert all(frame.kind != DATA for frame in await said.before(PING))
        assert sum(map(len, sent.values())) == 65_535
        said.say(Frame(WINDOW_UPDATE, 0, 0, (14_465).to_bytes(4)))
        sent[9] += (await said.hears(DATA)).payload
        for number, body in sent.items():
            said.say(*answer(number, body[5:]))
        await said.reader.read()

    async with saying(path, script):
        _, connection = await asyncio.get_running_loop().create_unix_connection(lambda: Connection(2**23), path)
        answers = await asyncio.gather(*(connection.unary(b"\x83", message, 30) for message in messages))
        connection.close()

    assert answers == messages


async def test_a_stream_that_the_server_refused_was_not_sent(caller: tuple[Wire, str]) -> None:
    wire, path = caller

    async def script(said: Said) -> None:
        number = (await said.hears(HEADERS)).stream
        said.say(Frame(RST_STREAM, 0, number, _REFUSED.to_bytes(4)))
        await said.reader.read()

    async with saying(path, script):
        with pytest.raises(Refusal) as caught:
            await _add(wire)

    assert (caught.value.reason, caught.value.sent) == (PlatformReason.UNAVAILABLE, False)


async def test_a_server_that_leaves_answers_what_it_took_and_the_rest_goes_elsewhere(
    caller: tuple[Wire, str],
) -> None:
    wire, path = caller
    connections = 0

    async def script(said: Said) -> None:
        nonlocal connections
        connections += 1
        first = (await said.hears(HEADERS)).stream
        if connections == 1:
            await said.hears(HEADERS)
            said.say(Frame(GOAWAY, 0, 0, first.to_bytes(4) + bytes(4)))
        said.say(*answer(first, _reading(f"connection {connections}")))
        await said.reader.read()

    async with saying(path, script):
        taken, asked_too_late = asyncio.create_task(_add(wire)), asyncio.create_task(_add(wire))
        with pytest.raises(Refusal) as untaken:
            await asked_too_late
        later = await _add(wire)

    assert (await taken).answered_by == "connection 1"
    assert (untaken.value.reason, untaken.value.sent) == (PlatformReason.UNAVAILABLE, False)
    assert later.answered_by == "connection 2"


async def test_no_more_calls_are_in_flight_than_the_server_takes(caller: tuple[Wire, str]) -> None:
    wire, path = caller

    async def script(said: Said) -> None:
        said.say(Frame(SETTINGS, 0, 0, (3).to_bytes(2) + (1).to_bytes(4)))
        for name in ("a", "b", "c"):
            number = (await said.hears(HEADERS)).stream
            said.say(Frame(PING, 0, 0, bytes(8)))
            others = await said.before(PING)
            assert all(frame.kind != HEADERS for frame in others)  # whoever else calls waits for its turn
            said.say(*answer(number, _reading(name)))
        await said.reader.read()

    async with saying(path, script):
        first = await _add(wire)
        others = await asyncio.gather(_add(wire), _add(wire))

    assert [each.answered_by for each in (first, *others)] == ["a", "b", "c"]


async def test_a_caller_who_goes_away_ends_the_stream(caller: tuple[Wire, str]) -> None:
    wire, path = caller
    began: asyncio.Queue[int] = asyncio.Queue()

    async def script(said: Said) -> None:
        number = (await said.hears(HEADERS)).stream
        began.put_nowait(number)
        ended = await said.hears(RST_STREAM)
        began.put_nowait(ended.stream)
        assert int.from_bytes(ended.payload) == _CANCEL

    async with saying(path, script):
        calling = asyncio.create_task(_add(wire))
        number = await began.get()
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await calling

        assert await began.get() == number


@pytest.mark.parametrize(
    "said_instead",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="another protocol"),
        pytest.param(Frame(HEADERS, END_HEADERS, 1, b"\xbe").packed, id="a header from a table that there is not"),
        pytest.param(Frame(DATA, PADDED, 1, b"\x09x").packed, id="padding longer than its frame"),
        pytest.param(Frame(HEADERS, 0, 1, OK).packed + Frame(DATA, 0, 1, b"").packed, id="headers broken off"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_a_server_that_talks_nonsense_or_hangs_up_is_unavailable(
    said_instead: bytes, caller: tuple[Wire, str]
) -> None:
    wire, path = caller

    async def script(said: Said) -> None:
        await said.hears(HEADERS)
        said.writer.write(said_instead)
        if said_instead:
            await said.reader.read()  # until the caller hangs up

    async with saying(path, script):
        with pytest.raises(Refusal) as caught:
            await _add(wire)

    assert (caught.value.reason, caught.value.sent) == (PlatformReason.UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("body", "last"),
    [
        pytest.param(b"\x00\x00\x00\x00\x02x", DONE, id="a message that is cut off"),
        pytest.param(b"\x01\x00\x00\x00\x00", DONE, id="a message that is compressed"),
        pytest.param(b"\x00\x00\x00\x00\x01\xff", DONE, id="bytes that are no message"),
        pytest.param(b"", DONE, id="no message"),
        pytest.param(b"\x00\x00\x00\x00\x00", OK, id="no status"),
        pytest.param(b"\x00\x00\x00\x00\x00", b"\x00\x0bgrpc-status\x01x", id="a status that is none"),
    ],
)
async def test_an_answer_that_is_none_is_a_defect_of_the_server(
    body: bytes, last: bytes, caller: tuple[Wire, str]
) -> None:
    wire, path = caller

    async def script(said: Said) -> None:
        number = (await said.hears(HEADERS)).stream
        said.say(Frame(HEADERS, END_HEADERS, number, OK), Frame(DATA, 0, number, body))
        said.say(Frame(HEADERS, END_HEADERS | END_STREAM, number, last))
        await said.reader.read()

    async with saying(path, script):
        with pytest.raises(Refusal, match="INTERNAL"):
            await _add(wire)


@pytest.mark.parametrize(
    "details",
    [
        pytest.param(b"Cv8", id="bytes that are no status"),
        pytest.param(b"!", id="not even bytes"),
        pytest.param(_status_with(b"\x0a\xff"), id="a status whose reason is none"),
    ],
)
async def test_details_that_cannot_be_read_leave_the_code(details: bytes, caller: tuple[Wire, str]) -> None:
    wire, path = caller
    trailers = literal(b"grpc-status", b"4") + literal(b"grpc-status-details-bin", details)

    async def script(said: Said) -> None:
        for _ in range(2):
            number = (await said.hears(HEADERS)).stream
            said.say(Frame(HEADERS, END_HEADERS | END_STREAM, number, OK + trailers))
        await said.reader.read()

    async with saying(path, script):
        for _ in range(2):  # the connection is as good as before
            with pytest.raises(Refusal) as caught:
                await _add(wire)
            assert caught.value.reason == PlatformReason.DEADLINE_EXCEEDED


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_server_that_hangs_up_before_it_says_anything_got_no_call(
    loop: Callable[[], asyncio.AbstractEventLoop], generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = f"{tmp_path_factory.mktemp('h')}/s"

    async def ask() -> set[tuple[object, bool]]:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_unix_server(hang_up, path)
        endpoints = Endpoints(Service(CallStats()), {SERVICE: [f"unix:{path}"]})
        wire = Wire(endpoints, backoff=Backoff(attempts=1))
        found = set()
        for _ in range(5):
            with pytest.raises(Refusal) as caught:
                await _add(wire)
            found.add((caught.value.reason, caught.value.sent))
        await endpoints.close()
        server.close()
        return found

    with asyncio.Runner(loop_factory=loop) as runner:
        found = runner.run(ask())

    assert found == {(PlatformReason.UNAVAILABLE, False)}


async def test_a_server_that_ends_before_it_accepts_got_no_call(caller: tuple[Wire, str]) -> None:
    wire, path = caller
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    calling = asyncio.create_task(_add(wire))
    await asyncio.get_running_loop().run_in_executor(None, select.select, [listener], [], [], 30)
    listener.close()
    with pytest.raises(Refusal) as caught:
        await calling

    assert (caught.value.reason, caught.value.sent) == (PlatformReason.UNAVAILABLE, False)


async def test_who_waits_for_room_gets_it_when_who_was_next_goes_in_the_same_moment(tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    async def script(said: Said) -> None:
        await said.reader.read()

    async with saying(path, script), asyncio.timeout(30):
        _, connection = await asyncio.get_running_loop().create_unix_connection(lambda: Connection(2**23), path)
        await connection.greeted
        connection.most_streams = 0
        gone, waiting = asyncio.create_task(connection.room()), asyncio.create_task(connection.room())
        await asyncio.sleep(0)
        connection.most_streams = 1
        connection.on_settings()
        gone.cancel()
        await waiting
        connection.close()

    assert gone.cancelled()


async def test_who_waits_for_room_goes_elsewhere_when_the_server_leaves(caller: tuple[Wire, str]) -> None:
    wire, path = caller
    connections: list[Said] = []
    answered = asyncio.Event()

    async def script(said: Said) -> None:
        connections.append(said)
        said.say(Frame(SETTINGS, 0, 0, (3).to_bytes(2) + (1).to_bytes(4)))
        number = (await said.hears(HEADERS)).stream
        if len(connections) == 1:
            said.say(Frame(GOAWAY, 0, 0, number.to_bytes(4) + bytes(4)))
            await answered.wait()  # the second connection answers while this one's call goes on
        said.say(*answer(number, _reading(f"connection {len(connections)}")))
        await said.reader.read()

    async with saying(path, script):
        first, second = asyncio.create_task(_add(wire)), asyncio.create_task(_add(wire))
        elsewhere = await second
        answered.set()
        await first

    assert elsewhere.answered_by == "connection 2"


async def test_a_closed_channel_makes_no_connection(caller: tuple[Wire, str]) -> None:
    _, path = caller
    connections = 0

    async def script(said: Said) -> None:
        nonlocal connections
        connections += 1
        await said.hears(HEADERS)
        closing.set()
        await said.reader.read()

    channel, closing = RemoteChannel(f"unix:{path}"), asyncio.Event()
    policy = method_policy(f"{SERVICE}/Add")
    about = Call(policy.full_name, None, time.monotonic() + 30)
    async with saying(path, script):
        calling = asyncio.create_task(channel.unary(policy, policy.input(), about))
        await closing.wait()
        await channel.close()
        refusals = []
        for call in (calling, channel.unary(policy, policy.input(), about)):
            with pytest.raises(Refusal) as caught:
                await call
            refusals.append((caught.value.reason, caught.value.sent))

    assert refusals == [(PlatformReason.UNAVAILABLE, True), (PlatformReason.UNAVAILABLE, False)]
    assert connections == 1


async def test_a_request_that_is_too_long_is_not_sent(caller: tuple[Wire, str]) -> None:
    with pytest.raises(Refusal) as caught:
        await _add(caller[0], "x" * (MAX_MESSAGE_BYTES + 1))

    assert caught.value.reason == PlatformReason.PAYLOAD_TOO_LARGE


async def test_what_cannot_be_reached_was_not_sent(caller: tuple[Wire, str]) -> None:
    with pytest.raises(Refusal) as caught:
        await _add(caller[0])

    assert (caught.value.reason, caught.value.sent) == (PlatformReason.UNAVAILABLE, False)


async def test_a_server_that_came_back_is_found_by_the_next_call(
    caller: tuple[Wire, str],
) -> None:
    wire, path = caller

    async def script(said: Said) -> None:
        said.say(*answer((await said.hears(HEADERS)).stream, _reading("once")))

    names = []
    for _ in range(2):
        async with saying(path, script):
            names.append((await _add(wire)).answered_by)

    assert names == ["once", "once"]


def test_headers_are_read_in_every_form() -> None:
    block = bytes.fromhex(  # RFC 7541, C.6.1, after a table's size
        "20488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3"
    ) + literal(b"l", b"v" * 300)

    assert decoded(block) == {
        b":status": b"302",
        b"cache-control": b"private",
        b"date": b"Mon, 21 Oct 2013 20:13:21 GMT",
        b"location": b"https://www.example.com",
        b"l": b"v" * 300,
    }


@pytest.mark.parametrize("block", ["80", "be", "3f01", "00", "0003616263", "0081ff00", "7fffffffffff0f"])
def test_headers_that_make_no_sense_are_refused(block: str) -> None:
    with pytest.raises(BrokenHeadersError):
        decoded(bytes.fromhex(block))
