"""A server's end of a connection: who stands still, who leaves, and a server that leaves."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from http2_caller import Caller, Handlers, connected, head, message, number_in, request, served, until, widen, within
from http2_server import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
)

from tricorn.wire.http2.peer import PREFACE
from tricorn.wire.http2.serving import ServedConnection, Serving

_STREAM_WINDOW = 4
_REFUSED, _CANCEL = 7, 8
_OK, _UNAVAILABLE = 0, 14
_WIDE = 2**24


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


# Who stands still


async def test_a_stream_whose_reader_opens_no_window_waits_for_it(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(*request(1, "/a/pour", b"100000"))
        sent = 0
        while sent < 65_535:
            sent += len((await caller.hears(DATA)).payload)
        await caller.until_now()
        given = handlers.given
        await caller.until_now()

        assert given == handlers.given == 66
        caller.say(widen(0, 10_000), widen(1, 10_000))
        while sent < 75_535:
            sent += len((await caller.hears(DATA)).payload)


async def test_a_stream_whose_reader_does_not_read_waits_for_it(handlers: Handlers) -> None:
    async with served(handlers.methods, (_STREAM_WINDOW, 2**31 - 1)) as (caller, connection, _):
        caller.say(widen(0, 2**30), *request(1, "/a/pour", b"100000"))
        await until(lambda: not connection._writable.is_set())
        stood = handlers.given
        for _ in range(3000):
            await asyncio.sleep(0)

        assert handlers.given - stood <= 1000  # what the reader's own buffer takes
        while handlers.given < stood + 2000:
            await caller.hears(DATA)


@pytest.mark.parametrize("path", ["/a/pour", "/a/pour-briefly"])
async def test_a_reader_who_stands_still_keeps_no_handler_beyond_its_time(path: str, handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, connection, _):
        given = ((b"grpc-timeout", b"100m"),) if path == "/a/pour" else ()
        caller.say(Frame(HEADERS, END_HEADERS, 1, head(path, *given)), Frame(DATA, END_STREAM, 1, message(b"100000")))

        ended = await caller.hears(RST_STREAM, 1)

        assert (number_in(ended), connection._bodies) == (_CANCEL, {})
        await within(handlers.ended.wait())


async def test_a_caller_may_send_more_of_a_stream_when_some_of_it_was_taken(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, *_):
        caller.say(Frame(HEADERS, END_HEADERS, 1, head("/a/collect")))
        padded = Frame(DATA, PADDED, 1, b"\x64" + message(b"x" * 10) + bytes(100))
        caller.say(*8 * (padded,))
        await within(handlers.asked.wait())
        unread = [frame for frame in await caller.until_now() if frame.kind == WINDOW_UPDATE and frame.stream]
        handlers.free.set()
        taken = [await caller.hears(WINDOW_UPDATE, 1) for _ in range(8)]
        caller.say(Frame(DATA, END_STREAM, 1, b""))
        answered = await caller.answered(1)

    assert [number_in(frame) for frame in unread] == 8 * [101]  # nobody has to take the padding
    assert [number_in(frame) for frame in taken] == 8 * [15]
    assert answered.messages == [b"8"]


# Who leaves


async def _resets(caller: Caller) -> None:
    caller.say(Frame(RST_STREAM, 0, 1, _CANCEL.to_bytes(4)))


async def _hangs_up(caller: Caller) -> None:
    caller.writer.close()


async def _shuts_its_side(caller: Caller) -> None:
    caller.writer.write_eof()


@pytest.mark.parametrize("leaves", [_resets, _hangs_up, _shuts_its_side])
@pytest.mark.parametrize("method", ["wait", "collect", "pour"])
async def test_no_handler_goes_on_when_its_caller_left(
    method: str, leaves: Callable[[Caller], Any], handlers: Handlers
) -> None:
    async with served(handlers.methods) as (caller, _, serving):
        caller.say(*request(1, f"/a/{method}", b"100000"))
        if method == "pour":
            await caller.hears(DATA)
        else:
            await within(handlers.asked.wait())

        await leaves(caller)

        await within(handlers.ended.wait())
        await until(lambda: not serving.running)
        if leaves is _resets:
            caller.say(widen(0, _WIDE), *request(3, "/a/echo", b"as good as before"))
            assert (await caller.answered(3)).messages == [b"as good as before"]
            assert not [frame for frame in await caller.until_now() if frame.stream == 1 and frame.flags & END_STREAM]


async def test_a_call_that_is_taken_back_at_once_is_not_begun(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, connection, _):
        frames = (*request(1, "/a/echo", b"no"), Frame(RST_STREAM, 0, 1, _CANCEL.to_bytes(4)))
        await caller.until_now()
        connection.data_received(b"".join(frame.packed for frame in frames))
        caller.say(*request(3, "/a/echo", b"yes"))
        await caller.answered(3)

    assert handlers.taken == [b"yes"]


async def test_of_an_answer_that_nobody_wants_any_more_nothing_is_kept(handlers: Handlers) -> None:
    async with served(handlers.methods, (_STREAM_WINDOW, _WIDE)) as (caller, connection, _):
        caller.say(*request(1, "/a/long", b"500000"))
        await caller.hears(DATA)
        caller.say(Frame(RST_STREAM, 0, 1, _CANCEL.to_bytes(4)))
        await caller.until_now()

        assert (connection._bodies, connection._lined_up, connection._exchanges) == ({}, {}, {})
        caller.say(widen(0, _WIDE), *request(3, "/a/echo", b"next"))
        assert (await caller.answered(3)).messages == [b"next"]


# A server that leaves


async def test_who_is_in_flight_when_the_server_leaves_is_answered_and_the_next_may_go_elsewhere(
    handlers: Handlers,
) -> None:
    async with served(handlers.methods) as (caller, _, serving):
        caller.say(*request(1, "/a/wait", b"in flight"))
        await within(handlers.asked.wait())
        stopping = asyncio.create_task(serving.stop(30))
        left = await caller.hears(GOAWAY)
        caller.say(*request(3, "/a/echo", b"too late"))
        refused = await caller.hears(RST_STREAM, 3)
        handlers.free.set()
        answered = await caller.answered(1)
        await within(stopping)

        assert left.payload == (1).to_bytes(4) + bytes(4)
        assert number_in(refused) == _REFUSED
        assert answered.messages == [b"in flight"]
        assert handlers.taken == []
        assert await caller.is_left()


async def test_who_is_not_done_after_the_grace_is_told_and_no_handler_is_left(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, _, serving):
        caller.say(*request(1, "/a/wait"))
        await within(handlers.asked.wait())

        await within(serving.stop(0))

        assert handlers.ended.is_set()
        assert (await caller.answered(1)).status == _UNAVAILABLE
        assert await caller.is_left()


async def test_whoever_is_cut_off_is_told_however_far_the_call_got(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, connection, _):
        caller.say(*request(1, "/a/wait"), *request(3, "/a/pour", b"100000"))
        caller.say(Frame(HEADERS, END_HEADERS, 5, head("/a/echo")))  # still being asked
        await within(handlers.asked.wait())
        sent = 0
        while sent < 65_535:
            sent += len((await caller.hears(DATA, 3)).payload)
        connection.data_received(b"".join(frame.packed for frame in request(7, "/a/echo")))  # not begun yet

        connection.cut()

        caller.say(widen(3, _WIDE), widen(0, _WIDE))
        assert [(await caller.answered(number)).status for number in (1, 5, 7, 3)] == 4 * [_UNAVAILABLE]
        assert handlers.taken == []


@pytest.mark.parametrize("early", [True, False], ids=["in the server's buffers", "behind a window"])
async def test_what_was_answered_before_the_server_leaves_arrives(handlers: Handlers, *, early: bool) -> None:
    async with served(handlers.methods, (_STREAM_WINDOW, _WIDE)) as (caller, connection, serving):
        caller.say(*(widen(0, _WIDE),) * early, *request(1, "/a/long", b"1000000"))
        await until(lambda: connection._newest == 1 and not connection._exchanges)
        stopping = asyncio.create_task(serving.stop(30))
        await caller.hears(GOAWAY)
        caller.say(*(widen(0, _WIDE),) * (not early))
        answered = await caller.answered(1)
        await within(stopping)

    assert (answered.status, len(answered.body)) == (_OK, 1_000_005)


async def test_over_tcp_an_answer_arrives_even_if_its_reader_says_more_while_the_server_leaves(
    handlers: Handlers,
) -> None:
    serving = Serving(handlers.methods, _WIDE)
    server = await asyncio.get_running_loop().create_server(lambda: ServedConnection(serving), "127.0.0.1", 0)
    caller = Caller(*await asyncio.open_connection(*server.sockets[0].getsockname()))
    caller.writer.write(PREFACE)
    caller.say(Frame(SETTINGS, 0, 0, _STREAM_WINDOW.to_bytes(2) + _WIDE.to_bytes(4)), widen(0, _WIDE))
    caller.say(*request(1, "/a/long", b"3000000"))
    await caller.hears(HEADERS, 1)
    server.close()
    stopping = asyncio.create_task(serving.stop(30))

    length = 0
    while length < 3_000_005:
        part = await caller.hears(DATA, 1)
        length += len(part.payload)
        caller.say(widen(0, len(part.payload)))
    assert (await caller.hears(HEADERS, 1)).flags & END_STREAM
    assert await caller.is_left()
    caller.writer.close()
    await within(stopping)


async def test_a_caller_who_never_reads_does_not_keep_the_server(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tricorn.wire.http2.serving._CUT_SECONDS", 0.05)
    async with served(handlers.methods, (_STREAM_WINDOW, _WIDE)) as (caller, _, serving):
        caller.say(widen(0, _WIDE), *request(1, "/a/long", b"1000000"), *request(3, "/a/long", b"1000000"))
        await caller.hears(HEADERS, 1)

        await within(serving.stop(0))

        assert serving.connections == set()


async def test_a_caller_who_comes_while_the_server_leaves_goes_elsewhere(handlers: Handlers) -> None:
    async with served(handlers.methods) as (caller, _, serving):
        caller.say(*request(1, "/a/wait"))
        await within(handlers.asked.wait())
        stopping = asyncio.create_task(serving.stop(30))
        await caller.hears(GOAWAY)
        late, _ = await connected(serving)

        assert (await late.hears(GOAWAY)).payload == bytes(8)
        assert await late.is_left()
        handlers.free.set()
        await within(stopping)
        late.writer.close()
