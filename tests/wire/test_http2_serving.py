"""A server's end of a connection, as HTTP/2 sees it: whatever a caller may say, each call is answered once, and holds up no other."""

import asyncio
import base64

import pytest
from google.rpc import status_pb2
from http2_caller import MOST, Handlers, connected, head, message, number_in, request, served, widen, within
from http2_server import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    RST_STREAM,
    SETTINGS,
    Frame,
)

from tricorn.contract import PlatformReason
from tricorn.wire.errors import from_status
from tricorn.wire.http2.peer import PREFACE
from tricorn.wire.http2.serving import Serving

_STREAM_WINDOW = 4
_PRIORITY, _ACK = 0x20, 0x1
_NO_ERROR = 0
_OK, _INVALID, _EXHAUSTED, _UNIMPLEMENTED, _INTERNAL = 0, 3, 8, 12, 13
_WIDE = 2**24


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


# Requests


async def test_a_request_may_come_in_pieces_of_any_shape(handlers: Handlers) -> None:
    block, body = head("/a/echo"), message(b"abc")
    frames = (
        Frame(SETTINGS, 0, 0, b""),
        Frame(2, 0, 1, bytes(5)),  # PRIORITY
        Frame(HEADERS, PADDED | _PRIORITY, 1, b"\x02" + bytes(5) + block[:9] + bytes(2)),
        Frame(CONTINUATION, 0, 1, b""),
        Frame(CONTINUATION, END_HEADERS, 1, block[9:]),
        Frame(DATA, PADDED, 1, b"\x03" + body[:2] + bytes(3)),
        Frame(0x77, 0, 1, b"of a kind that nobody knows"),
        Frame(DATA, 0, 1, b""),
        Frame(DATA, 0, 1, body[2:]),
        Frame(DATA, END_STREAM, 1, b""),
    )
    said = PREFACE + b"".join(frame.packed for frame in frames)
    pieces: list[tuple[bytes, ...]] = [(said[:at], said[at:]) for at in range(1, len(said))]
    pieces.append(tuple(bytes((byte,)) for byte in said))

    for parts in pieces:
        serving = Serving(handlers.methods, MOST)
        caller, connection = await connected(serving)
        for part in parts:
            connection.data_received(part)
        answered = await caller.answered(1)
        caller.writer.close()
        await serving.stop(0)

        assert (answered.status, answered.messages) == (_OK, [b"abc"])

    assert len(handlers.taken) == len(pieces)


@pytest.mark.parametrize(
    ("frames", "status"),
    [
        pytest.param((Frame(HEADERS, END_HEADERS | END_STREAM, 1, head("/a/echo")),), _INVALID, id="no message"),
        pytest.param(request(1, "/a/none"), _UNIMPLEMENTED, id="no such method"),
        pytest.param((Frame(HEADERS, END_HEADERS, 1, head("/a/none")),), _UNIMPLEMENTED, id="more to come for none"),
        *(
            pytest.param((Frame(HEADERS, END_HEADERS, 1, head("/a/echo")), Frame(DATA, flags, 1, body)), status, id=why)
            for flags, body, status, why in (
                (END_STREAM, message(b"a") + message(b"b"), _INVALID, "two messages"),
                (END_STREAM, message(b"abc")[:-1], _INVALID, "a message that is broken off"),
                (END_STREAM, b"\x00\x00", _INVALID, "half a prefix"),
                (0, b"\x01\x00\x00\x00\x01x", _UNIMPLEMENTED, "compressed"),
                (0, b"\x00" + (MOST + 1).to_bytes(4), _EXHAUSTED, "longer than is taken, told by its first bytes"),
            )
        ),
        pytest.param(request(1, "/a/fail"), _INTERNAL, id="a handler that fails"),
        pytest.param(request(1, "/a/long", b"%d" % (MOST + 1)), _EXHAUSTED, id="an answer that is too long"),
    ],
)
async def test_a_call_that_cannot_be_answered_is_refused_and_the_next_is_not(
    frames: tuple[Frame, ...], status: int, handlers: Handlers
) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(*frames)
        refused = await caller.answered(1)
        if not frames[-1].flags & END_STREAM:
            assert number_in(await caller.hears(RST_STREAM, 1)) == _NO_ERROR  # it need not say the rest
        caller.say(Frame(DATA, END_STREAM, 1, message(b"late")), *request(3, "/a/echo", b"next"))
        after = await caller.answered(3)

    assert (refused.status, refused.body) == (status, b"")
    assert b"shown" not in refused.trailers[b"grpc-message"]
    assert after.messages == [b"next"]


@pytest.mark.parametrize("kind", [b"application/json", b""])
async def test_what_is_no_grpc_is_an_unsupported_media_type(kind: bytes, handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(Frame(HEADERS, END_HEADERS | END_STREAM, 1, head("/a/echo", kind=kind)))
        answered = await caller.answered(1)

    assert answered.headers == {b":status": b"415"}


async def test_a_refusal_whose_details_are_longer_than_a_frame_arrives_whole(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(*request(1, "/a/refuse", b"800"))
        answered = await caller.answered(1)

    packed = answered.trailers[b"grpc-status-details-bin"]
    assert len(packed) > 2 * 16_384
    assert answered.trailers[b"grpc-message"] == b"100 %25 wrong:%0A%C3%A4"
    refusal = from_status(status_pb2.Status.FromString(base64.b64decode(packed + b"==")))
    assert refusal is not None
    assert (refusal.reason, len(refusal.violations)) == (PlatformReason.INVALID_ARGUMENT, 800)


_HEADED = Frame(HEADERS, END_HEADERS, 3, head("/a/echo")).packed


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param((2**14 + 1).to_bytes(3) + bytes(6), id="a frame that is too long"),
        pytest.param(Frame(HEADERS, END_HEADERS, 4, head("/a/echo")).packed, id="a stream of the server's"),
        pytest.param(Frame(HEADERS, END_HEADERS, 0, head("/a/echo")).packed, id="a call on no stream"),
        pytest.param(Frame(HEADERS, END_HEADERS, 3, b"\xff\x80").packed, id="a header that was never sent"),
        pytest.param(Frame(CONTINUATION, 0, 3, b"").packed, id="headers from nowhere"),
        pytest.param(Frame(HEADERS, 0, 3, b"").packed + _HEADED, id="headers broken off"),
        pytest.param(_HEADED + Frame(DATA, PADDED, 3, b"\x09x").packed, id="padding longer than its frame"),
        pytest.param(
            Frame(HEADERS, 0, 3, b"").packed + 600 * Frame(CONTINUATION, 0, 3, bytes(2**14)).packed,
            id="headers that never end",
        ),
    ],
)
async def test_who_talks_nonsense_is_left_and_not_told_that_its_calls_were_not_begun(
    nonsense: bytes, handlers: Handlers
) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(*request(1, "/a/wait"))
        await within(handlers.asked.wait())
        caller.writer.write(nonsense)
        left = await caller.hears(GOAWAY)

        assert int.from_bytes(left.payload[:4]) in {1, 3}
        assert left.payload[4:8] == b"\0\0\0\1"
        assert await caller.is_left()
        await within(handlers.ended.wait())


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", b"\x16\x03"])
async def test_who_does_not_greet_as_http2_does_is_left(greeting: bytes, handlers: Handlers) -> None:
    caller, _ = await connected(Serving(handlers.methods, MOST))

    caller.writer.write(greeting)

    assert await caller.is_left()
    caller.writer.close()


async def test_who_goes_on_asking_and_reads_no_answer_is_left(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        ping = Frame(PING, 0, 0, bytes(8)).packed

        with pytest.raises(ConnectionError):  # noqa: PT012 - it is told while it writes
            for _ in range(10_000):
                caller.writer.write(ping * 100)
                await within(caller.writer.drain())


async def test_pings_are_answered_however_many_they_are(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, connection, _):
        await caller.until_now()
        for _ in range(4):
            connection.data_received(Frame(PING, 0, 0, b"12345678").packed * 9000)
            async with asyncio.timeout(30):
                answered = await caller.reader.readexactly(17 * 9000)

            assert answered == Frame(PING, _ACK, 0, b"12345678").packed * 9000


# Answers


async def test_an_answer_larger_than_its_window_comes_bit_by_bit_and_holds_up_no_other(handlers: Handlers) -> None:
    async with served(handlers.methods, (_STREAM_WINDOW, 10)) as (caller, *_):
        caller.say(*request(1, "/a/echo", b"x" * 25), *request(3, "/a/echo", b"other"))
        first = await caller.hears(DATA, 1)
        other = await caller.answered(3)
        held = await caller.until_now()
        caller.say(widen(1, 0), widen(1, 7))
        second = await caller.hears(DATA, 1)
        caller.say(Frame(SETTINGS, 0, 0, _STREAM_WINDOW.to_bytes(2) + bytes(4)), widen(1, 10))  # the window is 0 again
        between = await caller.until_now()
        caller.say(Frame(SETTINGS, 0, 0, _STREAM_WINDOW.to_bytes(2) + (100).to_bytes(4)))
        rest = await caller.answered(1)

    assert (len(first.payload), other.messages) == (10, [b"other"])
    assert {frame.stream for frame in held} <= {0, 1}
    assert not [frame for frame in (*held, *between) if frame.kind == DATA]
    assert first.payload + second.payload + rest.body == message(b"x" * 25)
    assert rest.status == _OK


async def test_streams_that_wait_for_the_connections_window_take_turns(handlers: Handlers) -> None:
    async with served(handlers.methods, (_STREAM_WINDOW, _WIDE)) as (caller, *_):
        caller.say(*request(1, "/a/long", b"500000"))
        sent = 0
        while sent < 65_535:
            sent += len((await caller.hears(DATA, 1)).payload)
        caller.say(*request(3, "/a/long", b"20000"))
        await caller.hears(HEADERS, 3)
        caller.say(widen(0, 3 * 16_384))
        turns = [(await caller.hears(DATA)).stream for _ in range(3)]
        caller.say(widen(0, _WIDE))
        short, long = await caller.answered(3), await caller.answered(1)

    assert (sent, turns) == (65_535, [1, 3, 1])
    assert len(short.body) < 20_005
    assert (short.trailers[b"grpc-status"], long.trailers[b"grpc-status"]) == (b"0", b"0")


async def test_a_stream_that_never_waits_lets_others_have_their_turn(handlers: Handlers) -> None:
    async with served(handlers.methods, (_STREAM_WINDOW, _WIDE)) as (caller, *_):
        caller.say(widen(0, _WIDE), *request(1, "/a/pour", b"60"), *request(3, "/a/pour", b"60"))
        order = [(await caller.hears(DATA)).stream for _ in range(120)]

    assert order[:20] == 10 * [1, 3]


async def test_a_stream_says_how_it_ended_behind_what_it_said(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(*request(1, "/a/pour", b"3"), *request(3, "/a/pour", b"0"), *request(5, "/a/broken", b"one"))
        whole, empty, broken = [await caller.answered(number) for number in (1, 3, 5)]

    assert (whole.status, [len(each) for each in whole.messages]) == (_OK, [1000] * 3)
    assert (empty.status, empty.messages, empty.headers[b":status"]) == (_OK, [], b"200")
    assert (broken.status, broken.messages, b":status" in broken.trailers) == (10, [b"one"], False)


async def test_both_sides_may_stream_at_once(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(Frame(HEADERS, END_HEADERS, 1, head("/a/shout")))
        heard = []
        for word in (b"a", b"b"):
            caller.say(Frame(DATA, 0, 1, message(word)))
            heard.append((await caller.hears(DATA, 1)).payload[5:])
        caller.say(Frame(HEADERS, END_HEADERS | END_STREAM, 1, b""))  # trailers
        ended = await caller.answered(1)

    assert (heard, ended.status) == ([b"A", b"B"], _OK)
