"""Server streams as events, through a real socket where disconnects matter."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tricorn.contract import Refusal

pytestmark = pytest.mark.usefixtures("toy")

WATCH = "/v1/books/b1:watch"


def events(text: str) -> list[dict[str, str]]:
    """The events in a stream, comments as ``:``."""
    made = []
    for block in text.split("\n\n"):
        fields = [line.partition(":") for line in block.split("\n") if line]
        made.append({name or ":": value.strip() for name, _, value in fields})
    return [each for each in made if each]


async def test_each_message_is_an_event_and_the_end_is_one_too(
    client: httpx.AsyncClient, backend: Any, toy: Any
) -> None:
    async def books(request: Any) -> AsyncIterator[Any]:
        for title in ("Emma", "Line\nbreak"):
            yield toy.Book(book_id=request.book_id, title=title)

    backend.answers["WatchBook"] = books

    answer = await client.get(WATCH, headers={"accept": "text/event-stream"})

    assert answer.headers["content-type"] == "text/event-stream"
    seen = events(answer.text)
    assert [each.get("event") for each in seen[1:]] == ["message", "message", "end"]
    assert [each["id"] for each in seen[1:3]] == ["1", "2"]
    assert [json.loads(each["data"])["title"] for each in seen[1:3]] == ["Emma", "Line\nbreak"]


async def test_a_refusal_at_once_is_a_plain_problem(client: httpx.AsyncClient, backend: Any, toy: Any) -> None:
    async def books(_: Any) -> AsyncIterator[Any]:
        raise Refusal("NOT_FOUND", "no such book")
        yield toy.Book()

    backend.answers["WatchBook"] = books

    answer = await client.get(WATCH)

    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_a_failure_later_is_an_event(client: httpx.AsyncClient, backend: Any, toy: Any) -> None:
    async def books(_: Any) -> AsyncIterator[Any]:
        yield toy.Book(title="Emma")
        raise ZeroDivisionError("secret")

    backend.answers["WatchBook"] = books

    answer = await client.get(WATCH)

    last = events(answer.text)[-1]
    assert last["event"] == "problem"
    assert json.loads(last["data"])["code"] == "INTERNAL"
    assert "secret" not in answer.text


async def test_a_silent_stream_shows_signs_of_life(make_gateway: Any, serving: Any, backend: Any, toy: Any) -> None:
    async def books(_: Any) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield toy.Book()

    backend.answers["WatchBook"] = books
    async with (
        serving(make_gateway()) as at,
        httpx.AsyncClient() as client,
        client.stream("GET", at.url + WATCH) as got,
    ):
        comments = 0
        async for line in got.aiter_lines():
            comments += line.startswith(":")
            if comments == 3:
                break

    assert got.status_code == 200


async def test_a_client_that_leaves_ends_the_stream(make_gateway: Any, serving: Any, backend: Any, toy: Any) -> None:
    ended = asyncio.Event()

    async def books(_: Any) -> AsyncIterator[Any]:
        try:
            while True:
                yield toy.Book(title="Emma")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    backend.answers["WatchBook"] = books
    async with serving(make_gateway()) as at, httpx.AsyncClient() as client:
        async with client.stream("GET", at.url + WATCH) as got:
            async for _ in got.aiter_lines():
                break
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_drain_ends_streams_so_that_their_clients_come_back(
    make_gateway: Any, serving: Any, backend: Any, toy: Any
) -> None:
    async def books(_: Any) -> AsyncIterator[Any]:
        yield toy.Book(title="Emma")
        await asyncio.Event().wait()

    backend.answers["WatchBook"] = books
    text = ""
    async with (
        serving(make_gateway()) as at,
        httpx.AsyncClient() as client,
        client.stream("GET", at.url + WATCH) as got,
    ):
        async for part in got.aiter_text():
            text += part
            if "Emma" in text:
                at.stop.set()
        await at.task

    assert events(text)[-1]["event"] == "end"
    assert events(text)[0]["retry"] == "1000"
