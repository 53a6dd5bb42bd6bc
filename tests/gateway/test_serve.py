"""Through a real socket, on a loop of its own: what only a server can get wrong."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tricorn.gateway import Limits

pytestmark = pytest.mark.usefixtures("toy")


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    async with asyncio.timeout(10):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)


def body_of(raw: bytes) -> Any:
    return json.loads(raw.partition(b"\r\n\r\n")[2])


async def test_a_served_gateway_answers(make_gateway: Any, serving: Any) -> None:
    async with serving(make_gateway()) as at, httpx.AsyncClient() as client:
        answer = await client.get(f"{at.url}/v1/books/b1")

    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


async def test_a_body_with_an_announced_length_beyond_the_limit_is_413_before_it_is_read(
    make_gateway: Any, serving: Any
) -> None:
    async with serving(make_gateway()) as at:
        raw = await at.raw(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n")

    assert raw.startswith(b"HTTP/1.1 413 ")
    assert body_of(raw)["code"] == "PAYLOAD_TOO_LARGE"


async def test_a_chunked_body_beyond_the_limit_is_413(make_gateway: Any, serving: Any, backend: Any) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    async with serving(make_gateway(limits=Limits(body=100_000))) as at:
        head = b"POST /v1/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        raw = await at.raw(head, chunk, chunk)

    assert raw.startswith(b"HTTP/1.1 413 ")
    assert backend.requests == []


async def test_a_client_that_sends_all_before_it_reads_still_gets_the_refusal(make_gateway: Any, serving: Any) -> None:
    size = 5_000_000
    head = b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
    async with serving(make_gateway()) as at:
        answers = [await at.raw(head, b"x" * size) for _ in range(5)]

    assert [answer[:13] for answer in answers] == [b"HTTP/1.1 413 "] * 5


async def test_a_client_that_never_stops_sending_is_left_in_the_end(
    make_gateway: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tricorn.gateway.protocol._LINGER_TIME", 0.2)
    async with serving(make_gateway()) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 5000000\r\n\r\n")
        answer = await reader.read()
        with pytest.raises(ConnectionError):
            await _send_for_ever(writer)

    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_shorter_than_announced_is_given_up_in_time(make_gateway: Any, serving: Any, backend: Any) -> None:
    async with serving(make_gateway(limits=Limits(body_time=0.1))) as at:
        raw = await at.raw(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{}")

    assert raw.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in raw
    assert backend.requests == []


async def test_a_body_longer_than_announced_is_not_taken_for_a_request(make_gateway: Any, serving: Any) -> None:
    async with serving(make_gateway()) as at:
        raw = await at.raw(b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}garbage\r\n\r\n")

    assert raw.count(b"HTTP/1.1 ") == 1
    assert raw.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in raw


async def test_two_lengths_at_once_are_refused(make_gateway: Any, serving: Any) -> None:
    async with serving(make_gateway()) as at:
        raw = await at.raw(
            b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        )

    assert raw.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v1/books?pageToken=" + b"x" * 9000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nhost: x\r\nbig: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\n\r\n", 400),
        (b"POST /v1/login HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nhost: x\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
)
async def test_a_head_that_is_too_large_or_broken_is_a_problem(
    make_gateway: Any, serving: Any, head: bytes, status: int
) -> None:
    async with serving(make_gateway()) as at:
        raw = await at.raw(head)

    assert raw.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in raw
    assert body_of(raw)["status"] == status


async def test_a_head_that_does_not_end_is_given_up_in_time(make_gateway: Any, serving: Any) -> None:
    async with serving(make_gateway(limits=Limits(header_time=0.1))) as at:
        begun = await at.raw(b"GET / HTTP/1.1\r\nhost: x\r\n")
        silent = await at.raw()
        blank = await at.raw(b"\r\n")

    assert begun.startswith(b"HTTP/1.1 408 ")
    assert silent == b""
    assert blank == b""


async def test_a_client_that_leaves_cancels_the_call(make_gateway: Any, serving: Any, backend: Any) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def wait_for_ever() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    backend.answers["GetBook"] = lambda _: wait_for_ever()
    async with serving(make_gateway()) as at:
        _, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"GET /v1/books/b1 HTTP/1.1\r\nhost: x\r\n\r\n")
        await began.wait()
        writer.close()

        async with asyncio.timeout(5):
            await cancelled.wait()


async def test_a_drain_answers_what_was_asked_and_closes_the_connection(
    make_gateway: Any, serving: Any, backend: Any, toy: Any
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def answer() -> Any:
        asked.set()
        await go_on.wait()
        return toy.Book(title="Emma")

    backend.answers["GetBook"] = lambda _: answer()
    async with serving(make_gateway()) as at, httpx.AsyncClient() as client:
        question = asyncio.create_task(client.get(f"{at.url}/v1/books/b1"))
        await asked.wait()
        at.stop.set()
        go_on.set()
        got = await question
        await at.task

        assert got.json()["title"] == "Emma"
        assert got.headers["connection"] == "close"
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{at.url}/v1/books/b1")


async def test_a_drain_with_a_successor_still_answers_on_kept_connections(make_gateway: Any, serving: Any) -> None:
    async with serving(make_gateway(), idle_time=5.0) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        request = b"GET /v1/books/b1 HTTP/1.1\r\nhost: x\r\n\r\n"
        writer.write(request)
        first = await reader.readuntil(b"}")
        at.stop.set()
        await asyncio.sleep(0)
        writer.write(request)
        second = await reader.read()
        writer.close()

    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in second
