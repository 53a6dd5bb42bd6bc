"""Whatever is wrong with a request, its answer is a problem with a code of the vocabulary, and nothing has changed."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from refusals import refused, state
from shop import Shop, Visitor

FIVE_MEGABYTES = 5 * 1024 * 1024
REGISTRATION = {"email": "new@example.com", "password": "a long enough password", "displayName": "New"}
SOMETHING = str(uuid.UUID(int=7))
JSON = {"Content-Type": "application/json"}


class Cast:
    """Those who try: each is logged in once for all tests here."""

    def __init__(self, shop: Shop) -> None:
        self.stranger = shop.visitor()
        self.buyer, self.other = shop.buyer(), shop.buyer()
        self.seller = shop.demo("seller")
        self.film = self.stranger.products(pageSize=1)[0]
        self.order = self.buyer.order([(self.film["productId"], 1)]).json()
        self.buyer.settled(self.order["orderId"])


@pytest.fixture(scope="module")
def cast(agora: Shop) -> Cast:
    return Cast(agora)


@pytest.fixture(autouse=True)
def nothing_has_changed(agora: Shop, cast: Cast) -> Iterator[None]:
    before = state(agora)
    yield
    assert state(agora) == before


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"{", id="unfinished"),
        pytest.param(b"not json", id="words"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"text"', id="a text"),
        pytest.param(b'{"email": "new@example.com",}', id="a comma too many"),
        pytest.param(b"{'email': 'new@example.com'}", id="single quotes"),
        pytest.param(json.dumps(REGISTRATION).encode() + b"{}", id="something after it"),
        pytest.param(b"\xef\xbb\xbf" + json.dumps(REGISTRATION).encode(), id="a byte order mark"),
        pytest.param(json.dumps(REGISTRATION).encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"email": "new@example.com", "displayName": "\xc3\x28"}', id="broken UTF-8"),
        pytest.param(b'{"displayName": "\\ud800"}', id="half a surrogate pair"),
        pytest.param(b"[" * 100_000, id="brackets without end"),
        pytest.param(b'{"a":' * 100_000, id="braces without end"),
        pytest.param(json.dumps({**REGISTRATION, "email": 5}).encode(), id="a number for a text"),
        pytest.param(json.dumps({**REGISTRATION, "email": ["new@example.com"]}).encode(), id="a list for a text"),
        pytest.param(json.dumps({**REGISTRATION, "roles": ["staff"]}).encode(), id="a role put into it"),
        pytest.param(json.dumps({**REGISTRATION, "userId": SOMETHING}).encode(), id="an id put into it"),
        pytest.param(
            json.dumps(REGISTRATION).replace('"email"', '"email":"a@example.com","email"').encode(), id="a key twice"
        ),
    ],
)
def test_a_registration_that_cannot_be_read_makes_no_user(cast: Cast, body: bytes) -> None:
    answer = cast.stranger.http.post("/api/v1/auth/register", content=body, headers=JSON)

    code = "INVALID_ARGUMENT" if not body else "MALFORMED_REQUEST"
    refused(answer, 400, code)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "no email"),
        ("email", "new@example.com\x00"),
        ("email", "a" * 250 + "@example.com"),
        ("password", "short"),
        ("password", "1234567890123"),
        ("password", "aaaaaaaaaaaaaa"),
        ("password", "has a nul \x00 in it"),
        ("password", "p" * 129),
        ("displayName", ""),
        ("displayName", "\x00"),
        ("displayName", "Nu\x00l"),
        ("displayName", "   "),
        ("displayName", "n" * 81),
    ],
)
def test_a_registration_that_breaks_a_rule_names_the_field(cast: Cast, field: str, value: str) -> None:
    answer = cast.stranger.http.post("/api/v1/auth/register", json={**REGISTRATION, field: value})

    problem = refused(answer, 400, "MALFORMED_REQUEST" if "\x00" in value else "INVALID_ARGUMENT")
    assert field in {violation["field"] for violation in problem["violations"]}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"lines": []}, "INVALID_ARGUMENT", id="no line"),
        pytest.param({"lines": [{"productId": "X", "quantity": 0}]}, "INVALID_ARGUMENT", id="none of it"),
        pytest.param({"lines": [{"productId": "X", "quantity": -1}]}, "INVALID_ARGUMENT", id="less than none"),
        pytest.param({"lines": [{"productId": "X", "quantity": 101}]}, "INVALID_ARGUMENT", id="too many"),
        pytest.param({"lines": [{"productId": "X", "quantity": 2**31}]}, "MALFORMED_REQUEST", id="beyond 32 bits"),
        pytest.param({"lines": [{"productId": "X", "quantity": 10**400}]}, "MALFORMED_REQUEST", id="400 digits"),
        pytest.param({"lines": [{"productId": "X", "quantity": 1.5}]}, "MALFORMED_REQUEST", id="one and a half"),
        pytest.param({"lines": [{"productId": "X", "quantity": "one"}]}, "MALFORMED_REQUEST", id="in words"),
        pytest.param({"lines": [{"productId": "X", "quantity": True}]}, "MALFORMED_REQUEST", id="a truth value"),
        pytest.param({"lines": {"productId": "X", "quantity": 1}}, "MALFORMED_REQUEST", id="an object for a list"),
        pytest.param({"lines": [None]}, "MALFORMED_REQUEST", id="a null in a list"),
        pytest.param({"lines": [{"productId": "no uuid", "quantity": 1}]}, "INVALID_ARGUMENT", id="no uuid"),
        pytest.param({"lines": [{"productId": SOMETHING, "quantity": 1}]}, "NOT_FOUND", id="an unknown product"),
        pytest.param({"lines": [{"productId": "X", "quantity": 1}] * 2}, "INVALID_ARGUMENT", id="a product twice"),
        pytest.param({"lines": [{"productId": "X", "quantity": 1}] * 51}, "INVALID_ARGUMENT", id="too many lines"),
        pytest.param({"coupons": ["A"] * 2}, "INVALID_ARGUMENT", id="a coupon twice"),
        pytest.param({"coupons": ["\x00"]}, "MALFORMED_REQUEST", id="a NUL for a coupon"),
        pytest.param({"coupons": ["NO SUCH COUPON"]}, "COUPON_INVALID", id="an unknown coupon"),
        pytest.param({"paymentMethod": "gold"}, "INVALID_ARGUMENT", id="an unknown payment method"),
        pytest.param({"acceptCurrentPrice": False}, "INVALID_ARGUMENT", id="no agreement to the price"),
        pytest.param({"acceptCurrentPrice": None}, "INVALID_ARGUMENT", id="silence about the price"),
        pytest.param(
            {"expectedTotal": {"currency": "USD", "minorUnits": "1"}}, "MALFORMED_REQUEST", id="two agreements"
        ),
        pytest.param({"total": {"currency": "USD", "minorUnits": "1"}}, "MALFORMED_REQUEST", id="a price of one's own"),
        pytest.param({"userId": SOMETHING}, "MALFORMED_REQUEST", id="in another's name"),
        pytest.param({"idempotencyKey": "another"}, "MALFORMED_REQUEST", id="two keys"),
    ],
)
def test_an_order_that_cannot_be_meant_is_no_order(cast: Cast, change: dict[str, Any], code: str) -> None:
    film = cast.film["productId"]
    body = {
        "lines": [{"productId": film, "quantity": 1}],
        "paymentMethod": "test_ok",
        "acceptCurrentPrice": True,
        **change,
    }
    text = json.dumps(body).replace('"X"', f'"{film}"')

    answer = cast.buyer.http.post(
        "/api/v1/orders", content=text, headers={**JSON, "Idempotency-Key": str(uuid.uuid4())}
    )

    status = {"NOT_FOUND": 404, "COUPON_INVALID": 422}.get(code, 400)
    refused(answer, status, code)


@pytest.mark.parametrize("key", [None, "", "k" * 101, "with a \x7f"])
def test_an_order_without_a_fit_idempotency_key_is_no_order(cast: Cast, key: str | None) -> None:
    body = {
        "lines": [{"productId": cast.film["productId"], "quantity": 1}],
        "paymentMethod": "test_ok",
        "acceptCurrentPrice": True,
    }

    answer = cast.buyer.http.post("/api/v1/orders", json=body, headers={} if key is None else {"Idempotency-Key": key})

    assert refused(answer, 400, answer.json()["code"])["code"] in {"INVALID_ARGUMENT", "MALFORMED_REQUEST"}


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "in chunks"])
def test_a_body_of_five_megabytes_is_too_large(agora: Shop, cast: Cast, announced: bool) -> None:
    body = json.dumps({**REGISTRATION, "displayName": "n" * FIVE_MEGABYTES}).encode()

    answer = agora.visitor().http.post(
        "/api/v1/auth/register", content=body if announced else iter([body[: 1 << 20], body[1 << 20 :]]), headers=JSON
    )

    refused(answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({**JSON, "Content-Encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({**JSON, "Accept": "text/html"}, 406, "NOT_ACCEPTABLE"),
    ],
)
def test_a_form_that_is_not_spoken_is_refused(cast: Cast, headers: dict[str, str], status: int, code: str) -> None:
    answer = cast.stranger.http.post("/api/v1/auth/register", content=json.dumps(REGISTRATION), headers=headers)

    refused(answer, status, code)


@pytest.mark.parametrize("path", ["", ":cancel", ":watch"])
def test_the_order_of_another_is_not_there(cast: Cast, path: str) -> None:
    target = f"/api/v1/orders/{cast.order['orderId']}{path}"

    answer = cast.other.http.post(target, json={}) if path == ":cancel" else cast.other.http.get(target)

    refused(answer, 404, "NOT_FOUND")
    assert cast.buyer.http.get(f"/api/v1/orders/{cast.order['orderId']}").json()["state"] == "STATE_COMPLETED"


def _of_another_seller(cast: Cast) -> str:
    me = cast.seller.http.get("/api/v1/users/me").json()["userId"]
    found = next(film for film in cast.stranger.products(pageSize=50) if film["sellerId"] != me)
    return str(found["productId"])


def test_a_seller_cannot_change_the_product_of_another(cast: Cast) -> None:
    path = f"/api/v1/products/{_of_another_seller(cast)}"
    restock = {"quantity": 5}

    answers = [
        cast.seller.http.patch(path, json={"title": "Mine now"}),
        cast.seller.http.delete(path),
        cast.seller.http.post(f"{path}:restock", json=restock, headers={"Idempotency-Key": str(uuid.uuid4())}),
    ]

    for answer in answers:
        refused(answer, 403, "PERMISSION_DENIED")


def test_a_buyer_cannot_sell(cast: Cast) -> None:
    price = {"currency": "USD", "minorUnits": "100"}
    product = {"title": "A film", "categoryIds": cast.film["categoryIds"], "basePrice": price}
    path = f"/api/v1/products/{cast.film['productId']}"

    answers = [
        cast.buyer.http.post("/api/v1/products", json=product),
        cast.buyer.http.patch(path, json={"basePrice": {"currency": "USD", "minorUnits": "1"}}),
        cast.buyer.http.delete(path),
        cast.buyer.http.post(f"{path}:restock", json={"quantity": 1}, headers={"Idempotency-Key": "k"}),
    ]

    for answer in answers:
        refused(answer, 403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"title": ""}, "INVALID_ARGUMENT"),
        ({"title": "Nu\x00l"}, "MALFORMED_REQUEST"),
        ({"description": "\x00"}, "MALFORMED_REQUEST"),
        ({"basePrice": {"currency": "USD", "minorUnits": "0"}}, "INVALID_ARGUMENT"),
        ({"basePrice": {"currency": "USD", "minorUnits": "100000001"}}, "INVALID_ARGUMENT"),
        ({"basePrice": {"currency": "USD", "minorUnits": "9223372036854775808"}}, "MALFORMED_REQUEST"),
        ({"basePrice": {"currency": "EUR", "minorUnits": "100"}}, "INVALID_ARGUMENT"),
        ({"releaseYear": 2101}, "INVALID_ARGUMENT"),
        ({"categoryIds": ["no uuid"]}, "INVALID_ARGUMENT"),
        ({"categoryIds": [SOMETHING]}, "INVALID_ARGUMENT"),
        ({"sellerId": SOMETHING}, "MALFORMED_REQUEST"),
        ({"etag": "1"}, "MALFORMED_REQUEST"),
    ],
)
def test_a_change_that_breaks_a_rule_leaves_the_product_as_it_was(
    cast: Cast, change: dict[str, Any], code: str
) -> None:
    me = cast.seller.http.get("/api/v1/users/me").json()["userId"]
    mine = next(film for film in cast.stranger.products(pageSize=100) if film["sellerId"] == me)

    refused(cast.seller.http.patch(f"/api/v1/products/{mine['productId']}", json=change), 400, code)


@pytest.mark.parametrize(
    "query",
    ["pageSize=-1", "pageSize=101", "orderBy=colour", "pageSize=1&pageSize=2", "query=%00", "query=" + "q" * 201],
)
def test_a_list_asked_for_wrongly_says_so(cast: Cast, query: str) -> None:
    answer = cast.stranger.http.get(f"/api/v1/products?{query}")

    assert refused(answer, 400, answer.json()["code"])["code"] in {"INVALID_ARGUMENT", "MALFORMED_REQUEST"}


@pytest.mark.parametrize("query", ["colour=red", "pageSize=ten", "pageSize=99999999999", "query=%ff", "query=%c3%28"])
def test_a_query_that_cannot_be_read_says_so(cast: Cast, query: str) -> None:
    refused(cast.stranger.http.get(f"/api/v1/products?{query}"), 400, "MALFORMED_REQUEST")


def test_a_page_token_is_good_for_its_own_query_only(cast: Cast) -> None:
    first = cast.stranger.http.get("/api/v1/products", params={"query": "drama", "pageSize": 1}).json()
    token = first["nextPageToken"]

    answers = [
        cast.stranger.http.get("/api/v1/products", params=query)
        for query in (
            {"query": "comedy", "pageToken": token},
            {"query": "drama", "orderBy": "price", "pageToken": token},
            {"query": "drama", "pageToken": token[:-4]},
            {"query": "drama", "pageToken": "invented"},
            {"query": "drama", "pageToken": "\u00e4"},
        )
    ]
    answers.append(cast.buyer.http.get("/api/v1/orders", params={"pageToken": token}))

    for answer in answers:
        refused(answer, 400, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/v2/products", "/api/v1/products/", "//api/v1/products", "/api/v1/orders/x/y", "/..%2f..%2fetc"],
)
def test_nothing_is_at_an_unknown_path(cast: Cast, path: str) -> None:
    refused(cast.stranger.http.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("DELETE", "/api/v1/products"),
        ("PUT", "/api/v1/orders"),
        ("GET", "/api/v1/auth/login"),
        ("POST", "/api/v1/users/me"),
        ("PROPFIND", "/api/v1/products"),
    ],
)
def test_a_verb_that_a_path_lacks_is_said_with_those_it_has(cast: Cast, verb: str, path: str) -> None:
    answer = cast.stranger.http.request(verb, path)

    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert verb not in answer.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "path", ["/api/v1/products/no-uuid", "/api/v1/users/%00", "/api/v1/orders/%ff", "/api/v1/orders/1"]
)
def test_an_id_that_is_none_is_no_lookup(cast: Cast, path: str) -> None:
    answer = cast.buyer.http.get(path)

    assert refused(answer, 400, answer.json()["code"])["code"] in {"INVALID_ARGUMENT", "MALFORMED_REQUEST"}


def test_staff_only_is_for_staff_only(cast: Cast) -> None:
    for visitor in (cast.buyer, cast.seller):
        for path in ("/api/v1/users", "/api/v1/stats"):
            refused(visitor.http.get(path), 403, "PERMISSION_DENIED")


def test_who_is_somebody_else_cannot_be_said_in_a_header(agora: Shop, cast: Cast) -> None:
    """Metadata of the platform that comes from outside counts for nothing."""
    pretender: Visitor = agora.visitor()
    me = cast.seller.http.get("/api/v1/users/me").json()["userId"]

    answer = pretender.http.get("/api/v1/users/me", headers={"tricorn-user": me, "tricorn-roles": "staff"})

    refused(answer, 401, "UNAUTHENTICATED")
