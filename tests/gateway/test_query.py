from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.usefixtures("toy")


async def test_query_parameters_fill_fields_of_every_kind(client: httpx.AsyncClient, backend: Any) -> None:
    query = (
        "pageSize=5&filter.author=Jane+Austen%21&filter.genres=GENRE_NOVEL&filter.genres=2&filter.lent=true"
        "&filter.after=2026-01-31T12:00:00Z&filter.pages=300&read_mask=title,etag"
    )

    assert (await client.get(f"/v1/books?{query}")).status_code == 200

    request = backend.requests[0]
    assert (request.page_size, request.filter.author, list(request.filter.genres)) == (5, "Jane Austen!", [1, 2])
    assert (request.filter.lent, request.filter.after.seconds, request.filter.pages.value) == (True, 1769860800, 300)
    assert list(request.read_mask.paths) == ["title", "etag"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("unknown=1", "unknown"),
        ("filter.unknown=1", "filter.unknown"),
        ("filter=1", "filter"),
        ("labels=1", "labels"),
        ("labels.a=1", "labels.a"),
        ("pageSize=1&pageSize=1", "pageSize"),
        ("pageSize=1&page_size=1", "page_size"),
        ("filter.author=a&filter.author=b", "filter.author"),
        ("pageSize=", "pageSize"),
        ("pageSize=05", "pageSize"),
        ("pageSize=1_0", "pageSize"),
        ("pageSize=%D9%A3", "pageSize"),
        ("pageSize=99999999999", "pageSize"),
        ("filter.lent=1", "filter.lent"),
        ("filter.lent=True", "filter.lent"),
        ("filter.genres=GENRE_NONE", "filter.genres"),
        ("filter.after=yesterday", "filter.after"),
        ("readMask=a_b", "readMask"),
        ("pageToken=%FF", "pageToken"),
        ("pageToken=%00", "pageToken"),
        ("pageToken=%zz", "pageToken"),
        ("pageToken=%", "pageToken"),
        ("pageToken=%C0%80", "pageToken"),
        ("%FF=1", "%FF"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_refused_by_name(
    client: httpx.AsyncClient, backend: Any, query: str, field: str
) -> None:
    answer = await client.get(f"/v1/books?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED_REQUEST")
    assert answer.json()["violations"][0]["field"] == field
    assert backend.requests == []


async def test_a_field_of_the_path_or_the_body_is_no_parameter(client: httpx.AsyncClient, issuer: Any) -> None:
    in_path = await client.get("/v1/books/b1?bookId=b2")
    in_body = await client.post("/v1/login?password=x", json={})
    beside_body = await client.patch("/v1/books/b1?book.title=x", json={}, headers=issuer.bearer())

    assert [each.status_code for each in (in_path, in_body, beside_body)] == [400, 400, 400]


async def test_too_many_parameters_are_refused(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/books?" + "&".join(["filter.genres=1"] * 300))).status_code == 400


@pytest.mark.parametrize("segment", ["%FF", "%00", "%zz", "%C0%AF"])
async def test_a_path_that_is_not_utf_8_is_refused(client: httpx.AsyncClient, segment: str) -> None:
    request = httpx.Request("GET", "http://library.example/v1/books/x")
    request.url = httpx.URL(f"http://library.example/v1/books/{segment}")
    answer = await client.send(request)

    assert (answer.status_code, answer.json()["violations"][0]["field"]) == (400, "bookId")


async def test_broken_rules_are_named_as_json_spells_them(client: httpx.AsyncClient, issuer: Any) -> None:
    body = {"title": "x", "chapters": [{}, {"chapterTitle": "y" * 21}]}

    answer = await client.post("/v1/books", json=body, headers=issuer.bearer(roles=("librarian",)))

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["type"]) == (
        400,
        "INVALID_ARGUMENT",
        "/problems/invalid-argument",
    )
    assert problem["violations"][0]["field"] == "chapters[1].chapterTitle"
    assert problem["violations"][0]["rule"] == "string.max_len"


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"title": "a\\u0000"}', b'{"title": "x", "roles": ["librarian"]}', b"[]"]
)
async def test_a_bad_body_is_a_problem_and_reaches_nobody(
    client: httpx.AsyncClient, backend: Any, issuer: Any, body: bytes
) -> None:
    headers = {**issuer.bearer(roles=("librarian",)), "content-type": "application/json"}

    answer = await client.post("/v1/books", content=body, headers=headers)

    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["code"] == "MALFORMED_REQUEST"
    assert len(answer.json()["traceId"]) == 32
    assert backend.requests == []
