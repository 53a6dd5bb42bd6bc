"""Headers that carry meaning: conditions, keys, caching, packing, tracing, origins."""

import gzip
import json
from typing import Any

import httpx
import pytest

from tricorn.contract import Refusal
from tricorn.gateway import CorsConfig
from tricorn.telemetry import traceparent

pytestmark = pytest.mark.usefixtures("toy")


async def test_an_idempotency_key_fills_its_field(client: httpx.AsyncClient, backend: Any, issuer: Any) -> None:
    headers = {**issuer.bearer(roles=("librarian",)), "idempotency-key": "k-1"}

    await client.post("/v1/books", json={"title": "x"}, headers=headers)
    same = await client.post("/v1/books", json={"title": "x", "idempotencyKey": "k-1"}, headers=headers)
    other = await client.post("/v1/books", json={"title": "x", "idempotencyKey": "k-2"}, headers=headers)

    assert backend.requests[0].idempotency_key == "k-1"
    assert same.status_code == 201
    assert (other.status_code, other.json()["violations"][0]["field"]) == (400, "idempotencyKey")


async def test_a_header_that_stands_twice_is_refused(client: httpx.AsyncClient, issuer: Any) -> None:
    headers = [*issuer.bearer(roles=("librarian",)).items(), ("idempotency-key", "a"), ("idempotency-key", "b")]

    assert (await client.post("/v1/books", json={"title": "x"}, headers=headers)).status_code == 400


@pytest.mark.parametrize(("sent", "etag"), [('"5"', "5"), ('W/"5"', "5"), ("*", "")])
async def test_if_match_fills_the_version(
    client: httpx.AsyncClient, backend: Any, issuer: Any, sent: str, etag: str
) -> None:
    answer = await client.patch("/v1/books/b1", json={}, headers={**issuer.bearer(), "if-match": sent})

    assert answer.status_code == 200
    assert backend.requests[0].etag == etag


@pytest.mark.parametrize("sent", ["5", '"5', '"4", "5"', '""', '"a b"'])
async def test_an_if_match_that_is_no_single_tag_is_refused(client: httpx.AsyncClient, issuer: Any, sent: str) -> None:
    answer = await client.patch("/v1/books/b1", json={}, headers={**issuer.bearer(), "if-match": sent})

    assert (answer.status_code, answer.json()["code"]) == (400, "MALFORMED_REQUEST")


async def test_two_versions_at_once_are_refused(client: httpx.AsyncClient, issuer: Any) -> None:
    headers = {**issuer.bearer(), "if-match": '"5"'}

    assert (await client.delete("/v1/books/b1?etag=5", headers=headers)).status_code == 204
    assert (await client.delete("/v1/books/b1?etag=4", headers=headers)).status_code == 400


async def test_if_match_where_nothing_can_depend_on_it_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/books/b1:lend", headers={"if-match": '"5"'})).status_code == 400


async def test_an_etag_is_the_version_in_quotes_and_answers_304(
    client: httpx.AsyncClient, toy: Any, backend: Any
) -> None:
    backend.answers["GetBook"] = lambda _: toy.Book(title="Emma", etag="5")

    first = await client.get("/v1/books/b1")
    again = await client.get("/v1/books/b1", headers={"if-none-match": 'W/"4", W/"5"'})
    other = await client.get("/v1/books/b1", headers={"if-none-match": '"4"'})
    anything = await client.get("/v1/books/b1", headers={"if-none-match": "*"})

    assert first.headers["etag"] == '"5"'
    assert [each.status_code for each in (again, other, anything)] == [304, 200, 304]
    assert (again.content, again.headers["etag"]) == (b"", '"5"')


async def test_caching_says_who_may_keep_an_answer(client: httpx.AsyncClient, issuer: Any) -> None:
    shared = await client.get("/v1/shelves/s1")
    private = await client.get("/v1/shelves/mine", headers=issuer.bearer())
    secret = await client.post("/v1/login", json={"password": "x"})

    assert (shared.headers["cache-control"], shared.headers["vary"]) == ("public, max-age=30", "Accept-Encoding")
    assert private.headers["cache-control"] == "private, no-cache"
    assert "Authorization" in private.headers["vary"]
    assert secret.headers["cache-control"] == "no-store"


async def test_long_answers_are_packed_when_the_client_takes_it(
    client: httpx.AsyncClient, toy: Any, backend: Any
) -> None:
    backend.answers["GetBook"] = lambda _: toy.Book(title="x" * 5000)

    async with client.stream("GET", "/v1/books/b1", headers={"accept-encoding": "br, gzip;q=0.5"}) as packed:
        raw = b"".join([part async for part in packed.aiter_raw()])
    plain = await client.get("/v1/books/b1", headers={"accept-encoding": "gzip;q=0"})
    backend.answers["GetBook"] = lambda _: toy.Book(title="short")
    short = await client.get("/v1/books/b1", headers={"accept-encoding": "gzip"})

    assert packed.headers["content-encoding"] == "gzip"
    assert len(raw) == int(packed.headers["content-length"]) < 500
    assert json.loads(gzip.decompress(raw))["title"] == "x" * 5000
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in short.headers


async def test_the_callers_trace_and_request_id_come_back(client: httpx.AsyncClient) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "x-request-id": "mine-1"}

    good = await client.get("/v1/books/b1", headers=headers)
    bad = await client.get("/nothing", headers=headers)
    own = await client.get("/v1/books/b1", headers={"traceparent": "nonsense", "x-request-id": "a b<"})

    assert (good.headers["x-request-id"], good.headers["x-trace-id"]) == ("mine-1", trace)
    assert bad.json()["traceId"] == trace
    assert own.headers["x-request-id"] == own.headers["x-trace-id"]
    assert "call;dur=" in good.headers["server-timing"]
    assert "total;dur=" in good.headers["server-timing"]


async def test_a_caller_does_not_say_whether_their_trace_is_recorded(
    client: httpx.AsyncClient, backend: Any, toy: Any
) -> None:
    backend.answers["GetBook"] = lambda _: toy.Book(title=traceparent())

    answer = await client.get("/v1/books/b1", headers={"traceparent": f"00-{'7' * 32}-b7ad6b7169203331-00"})

    _, trace, _, flags = answer.json()["title"].split("-")
    assert (trace, flags) == ("7" * 32, "01")


async def test_an_unknown_exception_is_a_500_that_shows_nothing(client: httpx.AsyncClient, backend: Any) -> None:
    def fail(_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    backend.answers["GetBook"] = fail

    answer = await client.get("/v1/books/b1")

    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.text
    assert answer.headers["x-trace-id"] == answer.json()["traceId"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("NOT_FOUND", 404),
        ("ABORTED", 409),
        ("PRECONDITION_FAILED", 412),
        ("DEADLINE_EXCEEDED", 504),
        ("NOBODY_KNOWS", 500),
    ],
)
async def test_a_refusal_has_the_status_of_its_reason(
    client: httpx.AsyncClient, backend: Any, reason: str, status: int
) -> None:
    def refuse(_: Any) -> Any:
        raise Refusal(reason, "because", metadata={"left": "3"})

    backend.answers["GetBook"] = refuse

    answer = await client.get("/v1/books/b1")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if reason == "NOBODY_KNOWS":
        assert answer.json()["code"] == "INTERNAL"
        assert "because" not in answer.text
    else:
        assert (answer.json()["detail"], answer.json()["metadata"]) == ("because", {"left": "3"})


async def test_retry_after_comes_with_unavailability(client: httpx.AsyncClient, backend: Any) -> None:
    def refuse(_: Any) -> Any:
        raise Refusal("UNAVAILABLE", "later", retry_after=2.5)

    backend.answers["GetBook"] = refuse

    assert (await client.get("/v1/books/b1")).headers["retry-after"] == "3"


async def test_a_backend_that_ignores_its_deadline_is_given_up(
    make_gateway: Any, make_client: Any, backend: Any
) -> None:
    import asyncio  # noqa: PLC0415 - only here

    from tricorn.gateway import Limits  # noqa: PLC0415 - only here

    backend.answers["LendBook"] = lambda _: asyncio.Event().wait()
    async with make_client(make_gateway(limits=Limits(call_grace=0.0))) as client:
        answer = await client.post("/v1/books/b1:lend")

    assert (answer.status_code, answer.json()["code"]) == (504, "DEADLINE_EXCEEDED")


async def test_browsers_may_call_from_the_origins_of_the_settings_only(make_gateway: Any, make_client: Any) -> None:
    cors = CorsConfig(origins=["https://shop.example"])
    ask = {"access-control-request-method": "POST"}
    async with make_client(make_gateway(cors=cors)) as client:
        preflight = await client.options("/v1/books", headers={"origin": "https://shop.example", **ask})
        foreign = await client.options("/v1/books", headers={"origin": "https://evil.example", **ask})
        real = await client.get("/v1/books/b1", headers={"origin": "https://shop.example"})
        failed = await client.get("/nothing", headers={"origin": "https://shop.example"})

    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in foreign.headers
    assert real.headers["access-control-allow-origin"] == failed.headers["access-control-allow-origin"]
    assert "Origin" in real.headers["vary"]


async def test_without_the_setting_no_origin_is_allowed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/books/b1", headers={"origin": "https://shop.example"})

    assert "access-control-allow-origin" not in answer.headers


async def test_security_headers_are_on_every_answer(make_gateway: Any, make_client: Any) -> None:
    async with make_client(make_gateway(hsts=True)) as client:
        for path in ("/v1/books/b1", "/nothing", "/docs", "/health"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert "max-age" in headers["strict-transport-security"]
