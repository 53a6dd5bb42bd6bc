from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.usefixtures("toy")


async def test_a_get_reads_its_path_and_answers_json(client: httpx.AsyncClient, toy: Any, backend: Any) -> None:
    backend.answers["GetBook"] = lambda request: toy.Book(book_id=request.book_id, title="Emma", copies=3)

    answer = await client.get("/v1/books/b%2F1")

    assert answer.status_code == 200
    assert answer.json() == {"bookId": "b/1", "title": "Emma", "genre": "GENRE_UNSPECIFIED", "copies": "3", "etag": ""}


async def test_a_post_reads_its_body(client: httpx.AsyncClient, toy: Any, backend: Any, issuer: Any) -> None:
    backend.answers["CreateBook"] = lambda request: toy.Book(title=request.title, genre=request.genre)
    body = {"title": "Emma", "genre": "GENRE_NOVEL", "chapters": [{"chapterTitle": "I", "page": 1}]}

    answer = await client.post("/v1/books", json=body, headers=issuer.bearer(roles=("librarian",)))

    assert answer.status_code == 201
    assert answer.json()["genre"] == "GENRE_NOVEL"
    assert backend.requests[0].chapters[0].chapter_title == "I"
    assert backend.callers[0].user_id == "ann"


async def test_a_variable_may_span_several_segments(client: httpx.AsyncClient, backend: Any) -> None:
    await client.get("/v1/shelves/3/books/7")
    await client.get("/v1/covers/a/b%2Fc/d")

    assert backend.requests[0].name == "shelves/3/books/7"
    assert backend.requests[1].path == "a/b/c/d"


async def test_a_literal_segment_wins_over_a_variable(client: httpx.AsyncClient, backend: Any, issuer: Any) -> None:
    answer = await client.get("/v1/shelves/mine", headers=issuer.bearer())

    assert answer.status_code == 200
    assert type(backend.requests[0]).__name__ == "GetMineRequest"


async def test_a_custom_verb_is_no_part_of_the_last_variable(client: httpx.AsyncClient, backend: Any) -> None:
    await client.post("/v1/books/b1:lend", json={"reader": "ann"})
    await client.get("/v1/books/b1:unknown")

    assert backend.requests[0].book_id == "b1"
    assert backend.requests[0].reader == "ann"
    assert backend.requests[1].book_id == "b1:unknown"


async def test_a_path_that_nobody_has_is_404_and_a_verb_that_it_lacks_405(client: httpx.AsyncClient) -> None:
    missing = await client.get("/v1/nothing")
    wrong_verb = await client.put("/v1/books")
    wrong_verb_of_custom = await client.get("/v1/books/b1:lend")
    no_custom = await client.post("/v1/books/b1:frob")

    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong_verb.status_code, wrong_verb.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert wrong_verb.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert wrong_verb_of_custom.status_code == 405
    assert (no_custom.status_code, no_custom.json()["code"]) == (404, "NOT_FOUND")


async def test_an_internal_method_has_no_route(client: httpx.AsyncClient) -> None:
    assert (await client.post("/library.v1.LibraryService/Recount")).status_code == 404


async def test_head_is_get_without_a_body_and_options_names_the_verbs(client: httpx.AsyncClient) -> None:
    head = await client.head("/v1/books/b1")
    options = await client.options("/v1/books/b1")

    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 10
    assert options.status_code == 204
    assert options.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"


async def test_response_body_answers_one_field(client: httpx.AsyncClient, toy: Any, backend: Any) -> None:
    backend.answers["ListBooks"] = lambda _: toy.ListBooksResponse(books=[toy.Book(title="Emma")])

    answer = await client.get("/v1/titles")

    assert [book["title"] for book in answer.json()] == ["Emma"]


async def test_a_http_body_passes_bytes_both_ways(client: httpx.AsyncClient, backend: Any) -> None:
    from google.api.httpbody_pb2 import HttpBody  # noqa: PLC0415 - generated, only here

    backend.answers["GetCover"] = lambda _: HttpBody(content_type="image/png", data=b"\x89PNG\xff")

    got = await client.get("/v1/covers/x")
    await client.put("/v1/books/b1/cover", content=b"\xff\x00", headers={"content-type": "image/jpeg"})

    assert (got.headers["content-type"], got.content) == ("image/png", b"\x89PNG\xff")
    image = backend.requests[1].image
    assert (image.content_type, image.data) == ("image/jpeg", b"\xff\x00")


async def test_a_status_of_204_has_no_body(client: httpx.AsyncClient, issuer: Any) -> None:
    answer = await client.delete("/v1/books/b1", headers=issuer.bearer())

    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers


async def test_a_patch_without_a_mask_changes_the_fields_it_names(
    client: httpx.AsyncClient, backend: Any, issuer: Any
) -> None:
    headers = issuer.bearer()
    await client.patch("/v1/books/b1", json={"title": "Emma", "pageCount": None}, headers=headers)
    await client.patch("/v1/books/b1?updateMask=title", json={"title": "Emma", "pageCount": 3}, headers=headers)

    assert list(backend.requests[0].update_mask.paths) == ["title", "page_count"]
    assert not backend.requests[0].book.HasField("page_count")
    assert list(backend.requests[1].update_mask.paths) == ["title"]


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
async def test_a_body_that_is_not_json_is_415(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post("/v1/books/b1:lend", content=b"{}", headers={"content-type": media_type})

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_packed_body_is_415(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}

    assert (await client.post("/v1/books/b1:lend", content=b"x", headers=headers)).status_code == 415


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/*", 200),
        ("text/html", 406),
        ("application/json;q=0, */*", 406),
    ],
)
async def test_accept_decides_whether_json_may_be_sent(client: httpx.AsyncClient, accept: str, status: int) -> None:
    assert (await client.get("/v1/books/b1", headers={"accept": accept})).status_code == status


async def test_a_body_where_none_is_taken_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.request("GET", "/v1/books/b1", content=b"{}")

    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED_REQUEST")


async def test_an_absent_body_is_an_empty_message(client: httpx.AsyncClient, backend: Any) -> None:
    answer = await client.post("/v1/books/b1:lend")

    assert answer.status_code == 200
    assert backend.requests[0].book_id == "b1"


async def test_a_body_that_contradicts_the_path_is_refused(client: httpx.AsyncClient) -> None:
    same = await client.post("/v1/books/b1:lend", json={"bookId": "b1"})
    other = await client.post("/v1/books/b1:lend", json={"bookId": "b2"})

    assert same.status_code == 200
    assert other.status_code == 400
    assert other.json()["violations"][0]["field"] == "bookId"
