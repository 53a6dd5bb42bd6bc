import asyncio
from typing import Any

import httpx
import pytest

from tricorn.gateway.cache import AnswerCache, Entry

pytestmark = pytest.mark.usefixtures("toy")


async def versions(client: httpx.AsyncClient, path: str, headers: dict[str, str]) -> int:
    return int((await client.get(path, headers=headers)).json()["version"])


@pytest.fixture
def counting(backend: Any, toy: Any) -> Any:
    """A backend whose shelves have a new version with each question."""
    asked = {"count": 0}

    def shelf(_: Any) -> Any:
        asked["count"] += 1
        return toy.Shelf(version=asked["count"])

    backend.answers["GetShelf"] = backend.answers["GetMine"] = shelf
    return asked


async def test_an_answer_is_given_again_while_it_is_good(client: httpx.AsyncClient, counting: Any) -> None:
    first = await client.get("/v1/shelves/s1")
    second = await client.get("/v1/shelves/s1")
    other = await client.get("/v1/shelves/s2")

    assert (first.json(), "age" in first.headers) == (second.json(), False)
    assert second.headers["age"] == "0"
    assert other.json()["version"] == 2
    assert counting["count"] == 2


async def test_only_the_fields_that_matter_tell_answers_apart(client: httpx.AsyncClient, counting: Any) -> None:
    await client.get("/v1/shelves/s1?note=a")
    await client.get("/v1/shelves/s1?note=b")

    assert counting["count"] == 1


async def test_an_answer_for_one_user_is_not_given_to_another(
    client: httpx.AsyncClient, issuer: Any, counting: Any
) -> None:
    ann, bob = issuer.bearer("ann"), issuer.bearer("bob")

    seen = [await versions(client, "/v1/shelves/mine", each) for each in (ann, ann, bob, ann)]

    assert seen == [1, 1, 2, 1]
    assert counting["count"] == 2


async def test_whoever_writes_reads_it_back_at_once_and_others_keep_the_answer(
    client: httpx.AsyncClient, issuer: Any, counting: Any
) -> None:
    ann, bob = issuer.bearer("ann"), issuer.bearer("bob")
    shared = "/v1/shelves/s1"
    await versions(client, shared, ann)

    await client.patch("/v1/books/b1", json={}, headers=ann)

    assert [await versions(client, shared, each) for each in (bob, ann, ann, bob)] == [1, 2, 2, 2]


async def test_a_write_that_failed_may_have_happened(
    client: httpx.AsyncClient, backend: Any, issuer: Any, counting: Any
) -> None:
    ann = issuer.bearer("ann")
    await versions(client, "/v1/shelves/mine", ann)

    def fail(_: Any) -> Any:
        raise ConnectionError

    backend.answers["UpdateBook"] = fail
    await client.patch("/v1/books/b1", json={}, headers=ann)

    assert await versions(client, "/v1/shelves/mine", ann) == 2


async def test_roles_and_tokens_are_checked_before_the_cache(
    client: httpx.AsyncClient, issuer: Any, counting: Any
) -> None:
    await versions(client, "/v1/shelves/mine", issuer.bearer("ann"))

    assert (await client.get("/v1/shelves/mine")).status_code == 401


async def test_a_refusal_is_not_kept(client: httpx.AsyncClient, backend: Any, toy: Any) -> None:
    from tricorn.contract import Refusal  # noqa: PLC0415 - only here

    answers = iter([Refusal("NOT_FOUND", "no"), toy.Shelf(version=1)])

    def answer(_: Any) -> Any:
        made = next(answers)
        if isinstance(made, Refusal):
            raise made
        return made

    backend.answers["GetShelf"] = answer

    assert [(await client.get("/v1/shelves/s1")).status_code for _ in range(2)] == [404, 200]


async def test_one_question_answers_all_who_ask_at_once(client: httpx.AsyncClient, backend: Any, toy: Any) -> None:
    asked, began, go_on = [], asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        asked.append(1)
        began.set()
        await go_on.wait()
        return toy.Shelf(version=1)

    backend.answers["GetShelf"] = lambda _: slow()
    questions = [asyncio.create_task(client.get("/v1/shelves/s1")) for _ in range(20)]
    await began.wait()
    questions[0].cancel()
    go_on.set()
    answers = await asyncio.gather(*questions[1:])

    assert len(asked) == 1
    assert {each.status_code for each in answers} == {200}


async def test_a_question_begun_before_a_write_does_not_answer_the_writer() -> None:
    now = [0.0]
    cache = AnswerCache(lambda: now[0], entries=10, size=10_000, longest_ttl=30.0)
    go_on = asyncio.Event()

    async def old() -> Entry:
        await go_on.wait()
        return Entry(b"old", "", None, 0.0)

    async def new() -> Entry:
        return Entry(b"new", "", None, 0.0)

    early = asyncio.create_task(cache.fetch(("k",), 30.0, "bob", old))
    await asyncio.sleep(0)
    now[0] = 1.0
    cache.wrote("ann")
    now[0] = 2.0
    async with asyncio.timeout(5):
        mine = await cache.fetch(("k",), 30.0, "ann", new)
    go_on.set()

    assert (mine.body, (await early).body) == (b"new", b"old")
    kept = cache.find(("k",), "ann")
    assert kept is not None
    assert kept.body == b"new"


async def test_entries_end_and_are_bounded_by_number_and_size() -> None:
    now = [0.0]
    cache = AnswerCache(lambda: now[0], entries=3, size=100_000, longest_ttl=30.0)

    async def ask(size: int) -> Entry:
        return Entry(b"x" * size, "", None, 0.0)

    for number in range(5):
        await cache.fetch((number,), 30.0, None, lambda: ask(10))
    await cache.fetch(("large",), 30.0, None, lambda: ask(50_000))

    assert [cache.find((number,), None) is not None for number in range(5)] == [False, False, True, True, True]
    assert cache.find(("large",), None) is None
    now[0] = 31.0
    assert cache.find((4,), None) is None


async def test_an_answer_ends_with_the_bindings_that_made_it() -> None:
    generation = [1]
    cache = AnswerCache(lambda: 0.0, entries=10, size=10_000, longest_ttl=30.0, generation=lambda: generation[0])
    go_on = asyncio.Event()

    async def by_rust() -> Entry:
        await go_on.wait()
        return Entry(b"rust", "", None, 0.0)

    async def by_python() -> Entry:
        return Entry(b"python", "", None, 0.0)

    early = asyncio.create_task(cache.fetch(("k",), 30.0, None, by_rust))
    await asyncio.sleep(0)
    generation[0] = 2
    async with asyncio.timeout(5):
        late = await cache.fetch(("k",), 30.0, None, by_python)
    go_on.set()

    assert ((await early).body, late.body) == (b"rust", b"python")
    kept = cache.find(("k",), None)
    assert kept is not None
    assert kept.body == b"python"
    generation[0] = 3
    assert cache.find(("k",), None) is None
