"""What HTTP clients, caches, proxies and browsers rely on: versions, conditions, packing, HEAD, headers, metrics."""

from typing import Any

import httpx
import pytest
from refusals import refused
from shop import Shop, Visitor


def _own_product(seller: Visitor) -> dict[str, Any]:
    me = seller.http.get("/api/v1/users/me").json()["userId"]
    mine = next(film for film in seller.products(pageSize=100) if film["sellerId"] == me)
    product: dict[str, Any] = seller.http.get(f"/api/v1/products/{mine['productId']}").json()
    return product


def test_what_has_not_changed_is_not_sent_again(agora: Shop) -> None:
    buyer = agora.buyer()
    first = buyer.http.get("/api/v1/users/me")

    again = buyer.http.get("/api/v1/users/me", headers={"If-None-Match": first.headers["etag"]})
    buyer.http.patch("/api/v1/users/me", json={"displayName": "Somebody else"})
    changed = buyer.http.get("/api/v1/users/me", headers={"If-None-Match": first.headers["etag"]})

    assert first.headers["etag"] == f'"{first.json()["etag"]}"'
    assert (again.status_code, again.content) == (304, b"")
    assert (changed.status_code, changed.json()["displayName"]) == (200, "Somebody else")
    assert changed.headers["etag"] != first.headers["etag"]


def test_of_two_changes_to_one_version_of_a_product_the_second_is_refused(agora: Shop) -> None:
    seller = agora.demo("seller")
    product = _own_product(seller)
    path, version = f"/api/v1/products/{product['productId']}", {"If-Match": f'"{product["etag"]}"'}

    first = seller.http.patch(path, json={"description": "First."}, headers=version)
    second = seller.http.patch(path, json={"description": "Second."}, headers=version)

    assert first.status_code == 200, first.text
    assert first.headers["etag"] == f'"{first.json()["etag"]}"' != version["If-Match"]
    refused(second, 412, "PRECONDITION_FAILED")
    assert seller.http.get(path).json()["description"] == "First."


def test_a_product_is_not_taken_off_sale_by_an_old_version(agora: Shop) -> None:
    seller = agora.demo("seller")
    product = _own_product(seller)
    path = f"/api/v1/products/{product['productId']}"

    answer = seller.http.delete(path, headers={"If-Match": '"999"'})

    refused(answer, 412, "PRECONDITION_FAILED")
    assert seller.http.get(path).status_code == 200


def test_what_a_seller_changes_the_next_request_shows(agora: Shop) -> None:
    seller = agora.demo("seller")
    product = _own_product(seller)
    path = f"/api/v1/products/{product['productId']}"
    price = {"currency": "USD", "minorUnits": str(int(product["pricing"]["basePrice"]["minorUnits"]) + 100)}

    changed = seller.http.patch(path, json={"basePrice": price, "releaseYear": 1999})

    assert changed.status_code == 200, changed.text
    seen = seller.http.get(path).json()
    assert (seen["pricing"]["basePrice"], seen["releaseYear"]) == (price, 1999)
    assert (seen["title"], seen["categoryIds"]) == (product["title"], product["categoryIds"])


def test_a_seller_lists_restocks_and_withdraws_a_product(agora: Shop) -> None:
    seller, stranger = agora.demo("seller"), agora.visitor()
    category = stranger.http.get("/api/v1/categories").json()["categories"][0]["categoryId"]
    price = {"currency": "USD", "minorUnits": "1999"}
    body = {"title": "Zardoz the Restored", "categoryIds": [category], "basePrice": price}

    made = seller.http.post("/api/v1/products", json=body)
    assert made.status_code == 201, made.text
    path = f"/api/v1/products/{made.json()['productId']}"
    stocked = [
        seller.http.post(f"{path}:restock", json={"quantity": 5}, headers={"Idempotency-Key": "delivery 1"})
        for _ in range(2)
    ]
    found = stranger.products(query="zardoz restored")
    gone = seller.http.delete(path)

    assert [answer.json()["available"] for answer in stocked] == [5, 5]
    assert [film["productId"] for film in found] == [made.json()["productId"]]
    assert gone.status_code == 204
    assert seller.http.get(path).status_code == 404


def test_long_answers_are_packed_for_who_can_unpack_them(agora: Shop) -> None:
    client = agora.visitor().http

    packed = client.get("/api/v1/products", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/api/v1/products", headers={"Accept-Encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) // 2
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    assert "Accept-Encoding" in packed.headers["vary"]


@pytest.mark.parametrize("path", ["/api/v1/products", "/health", "/openapi.json", "/docs", "/admin/login/"])
def test_head_is_get_without_the_body(agora: Shop, path: str) -> None:
    client = agora.visitor().http

    head = client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == client.get(path).headers["content-type"]


@pytest.mark.parametrize("path", ["/api/v1/products", "/nothing/here", "/health/ready", "/docs", "/admin/login/"])
def test_every_answer_tells_browsers_to_be_careful(agora: Shop, path: str) -> None:
    headers = agora.visitor().http.get(path).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "referrer-policy" in headers


def test_no_page_of_another_origin_may_call_unless_the_settings_say_so(agora: Shop) -> None:
    client = agora.visitor().http
    page = {"Origin": "https://elsewhere.example"}

    answer = client.get("/api/v1/products", headers=page)
    preflight = client.options("/api/v1/orders", headers={**page, "Access-Control-Request-Method": "POST"})

    assert answer.status_code == 200
    assert not [name for name in (*answer.headers, *preflight.headers) if name.startswith("access-control")]


def test_an_answer_says_where_its_time_went_and_which_trace_it_belongs_to(agora: Shop) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    asked = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "X-Request-Id": "mine-1"}

    headers = agora.visitor().http.get("/api/v1/products", headers=asked).headers

    assert "total;dur=" in headers["server-timing"]
    assert (headers["x-trace-id"], headers["x-request-id"]) == (trace, "mine-1")


def test_metrics_are_on_a_port_of_their_own(agora: Shop) -> None:
    agora.visitor().products()
    address = (agora.home / "shop.metrics").read_text().strip()

    public = agora.visitor().http.get("/metrics")
    private = httpx.get(f"http://{address}/metrics")

    refused(public, 404, "NOT_FOUND")
    assert private.status_code == 200
    assert 'ListProducts"' in private.text
    assert address.startswith("127.0.0.1:")


def test_the_pages_for_readers_are_there(agora: Shop) -> None:
    client = agora.visitor().http

    document = client.get("/openapi.json").json()
    page = client.get("/docs")
    problem = client.get("/problems/out-of-stock")

    assert document["openapi"].startswith("3.1")
    assert "/api/v1/orders/{orderId}:cancel" in document["paths"]
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert problem.status_code == 200
    assert "409" in problem.text
