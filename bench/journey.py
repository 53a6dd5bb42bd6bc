"""A customer's way through a shop, as whoever measures must see it work first: the same checks for Agora and its rivals.

Everything goes over HTTP and nothing is known of what is behind it, so that a figure is never that of a shop which
does less. `tests/system/test_rivals.py` plays them as tests.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from shop import DEMO_PASSWORD, Visitor

Check = Callable[[str], None]

_SECONDS = 20.0
_PRICE_OF_ONE_CENT = {"currency": "USD", "minorUnits": "1"}


class JourneyError(AssertionError):
    """A shop did something else than was to be seen."""


def check(url: str) -> int:
    """Goes the whole way at that address; how many checks there were.

    Raises:
        JourneyError: one of them failed; its name is in the message.
    """
    for each in CHECKS:
        try:
            each(url)
        except JourneyError as error:
            raise JourneyError(f"{url}, {each.__name__}: {error}") from error
    return len(CHECKS)


def who_registers_can_log_in_and_is_known(url: str) -> None:
    buyer = _buyer(url)
    me = _ok(buyer.http.get("/api/v1/users/me"))
    _same("the name", me["displayName"], "A Buyer")
    _same("the roles", me["roles"], [])


def a_change_of_name_is_read_back_at_once(url: str) -> None:
    buyer = _buyer(url)
    before = _ok(buyer.http.get("/api/v1/users/me"))
    changed = _ok(buyer.http.patch("/api/v1/users/me", json={"displayName": "Another"}))
    again = _ok(buyer.http.get("/api/v1/users/me"))
    _same("the name", (changed["displayName"], again["displayName"]), ("Another", "Another"))
    _true("a new version", int(again["etag"]) > int(before["etag"]))


def without_a_good_token_nobody_is_anybody(url: str) -> None:
    for headers in ({}, {"Authorization": "Bearer none"}):
        answer = httpx.get(f"{url}/api/v1/users/me", headers=headers, timeout=10)
        _refused(answer, 401, "UNAUTHENTICATED")
    _refused(_buyer(url).http.get("/api/v1/stats"), 403, "PERMISSION_DENIED")


def a_film_is_found_by_the_beginnings_of_words_and_shown(url: str) -> None:
    visitor = Visitor(url)
    film = visitor.products(query="toy st")[0]
    shown = _ok(visitor.http.get(f"/api/v1/products/{film['productId']}"))
    _same("the title", shown["title"], "Toy Story")
    in_stock = sum(each["available"] for each in shown["inventory"]["warehouses"])
    _same("what is available", shown["inventory"]["available"], in_stock)
    _true("a price", int(shown["pricing"]["finalPrice"]["minorUnits"]) > 0)
    _refused(visitor.http.get(f"/api/v1/products/{uuid.uuid4()}"), 404, "NOT_FOUND")
    _refused(visitor.http.get("/api/v1/products/nothing"), 400, "INVALID_ARGUMENT")


def a_quote_costs_what_is_shown(url: str) -> None:
    buyer = _buyer(url)
    film = _plenty(buyer)
    shown = _ok(buyer.http.get(f"/api/v1/products/{film}"))["pricing"]["finalPrice"]
    quote = _ok(buyer.quote([(film, 2)]))
    line = quote["lines"][0]
    _same("the price of one", line["unitPrice"], shown)
    _same("the line", int(line["subtotal"]["minorUnits"]), 2 * int(shown["minorUnits"]))
    total = int(quote["subtotal"]["minorUnits"]) - int(quote["discount"]["minorUnits"])
    _same("the total", int(quote["total"]["minorUnits"]), total)


def what_was_agreed_is_bought_and_listed(url: str) -> None:
    buyer = _buyer(url)
    film = _plenty(buyer)
    total = _ok(buyer.quote([(film, 2)]))["total"]
    order = _ok(buyer.order([(film, 2)], expectedTotal=total), 201)
    _same("the total", order["total"], total)
    _same("the state", _settled(buyer, order["orderId"])["state"], "STATE_COMPLETED")
    listed = _ok(buyer.http.get("/api/v1/orders"))["orders"]
    _same("the orders", [each["orderId"] for each in listed], [order["orderId"]])


def a_price_that_moved_is_not_charged(url: str) -> None:
    buyer = _buyer(url)
    _refused(buyer.order([(_plenty(buyer), 1)], expectedTotal=_PRICE_OF_ONE_CENT), 409, "PRICE_CHANGED")


def one_key_gives_one_order(url: str) -> None:
    buyer, key = _buyer(url), str(uuid.uuid4())
    film = _plenty(buyer)
    first, second = (_ok(buyer.order([(film, 1)], key=key), 201) for _ in range(2))
    _same("the order", second["orderId"], first["orderId"])
    _refused(buyer.order([(film, 2)], key=key), 422, "IDEMPOTENCY_KEY_REUSED")
    _same("the orders", len(_ok(buyer.http.get("/api/v1/orders"))["orders"]), 1)


def a_refused_card_is_refused_again_and_buys_nothing(url: str) -> None:
    for method, code in (("test_declined", "PAYMENT_DECLINED"), ("test_insufficient_funds", "INSUFFICIENT_FUNDS")):
        buyer, key = _buyer(url), str(uuid.uuid4())
        film = _plenty(buyer)
        for _ in range(2):
            _refused(buyer.order([(film, 1)], key=key, method=method), 402, code)


def what_is_wrong_is_refused(url: str) -> None:
    buyer = _buyer(url)
    film = _plenty(buyer)
    body = {"lines": [{"productId": film, "quantity": 1}], "paymentMethod": "test_ok", "acceptCurrentPrice": True}
    _refused(buyer.http.post("/api/v1/orders", json=body), 400, "INVALID_ARGUMENT")
    wrongs: tuple[dict[str, Any], ...] = ({"lines": []}, {"paymentMethod": "cash"}, {"acceptCurrentPrice": False})
    for wrong in wrongs:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        answer = buyer.http.post("/api/v1/orders", json={**body, **wrong}, headers=headers)
        _refused(answer, 400, "INVALID_ARGUMENT")


def nobody_sees_the_order_of_another(url: str) -> None:
    buyer, other = _buyer(url), _buyer(url)
    order = _ok(buyer.order([(_plenty(buyer), 1)]), 201)["orderId"]
    _refused(other.http.get(f"/api/v1/orders/{order}"), 404, "NOT_FOUND")
    _refused(other.http.post(f"/api/v1/orders/{order}:cancel", json={}), 404, "NOT_FOUND")


def stock_falls_by_what_was_bought_and_returns_when_it_is_cancelled(url: str) -> None:
    buyer = _buyer(url)
    film = _plenty(buyer)
    before = _available(url, film)
    order = _ok(buyer.order([(film, 3)]), 201)["orderId"]
    _settled(buyer, order)
    _eventually("less stock", lambda: _available(url, film) == before - 3)
    for _ in range(2):
        cancelled = _ok(buyer.http.post(f"/api/v1/orders/{order}:cancel", json={}))
        _same("the state", cancelled["state"], "STATE_CANCELLED")
    _eventually("the stock back", lambda: _available(url, film) == before)


def the_operators_see_figures_that_grow(url: str) -> None:
    staff, buyer = Visitor(url), _buyer(url)
    staff.log_in("staff@agora.example", DEMO_PASSWORD)
    before = int(_ok(staff.http.get("/api/v1/stats"))["shop"]["orders"])
    _ok(buyer.order([(_plenty(buyer), 1)]), 201)
    _eventually("another order", lambda: int(_ok(staff.http.get("/api/v1/stats"))["shop"]["orders"]) > before)


CHECKS: tuple[Check, ...] = (
    who_registers_can_log_in_and_is_known,
    a_change_of_name_is_read_back_at_once,
    without_a_good_token_nobody_is_anybody,
    a_film_is_found_by_the_beginnings_of_words_and_shown,
    a_quote_costs_what_is_shown,
    what_was_agreed_is_bought_and_listed,
    a_price_that_moved_is_not_charged,
    one_key_gives_one_order,
    a_refused_card_is_refused_again_and_buys_nothing,
    what_is_wrong_is_refused,
    nobody_sees_the_order_of_another,
    stock_falls_by_what_was_bought_and_returns_when_it_is_cancelled,
    the_operators_see_figures_that_grow,
)


def _buyer(url: str) -> Visitor:
    visitor = Visitor(url)
    visitor.register()
    return visitor


def _plenty(visitor: Visitor) -> str:
    found = visitor.products(query="story", pageSize=50)
    return str(max(found, key=lambda film: film["inventory"]["available"])["productId"])


def _available(url: str, film: str) -> int:
    return int(_ok(Visitor(url).http.get(f"/api/v1/products/{film}"))["inventory"]["available"])


def _settled(buyer: Visitor, order: str) -> dict[str, Any]:
    """The order when it changes no more."""
    found: dict[str, Any] = {}

    def looked() -> bool:
        found.update(_ok(buyer.http.get(f"/api/v1/orders/{order}")))
        return found["state"] not in {"STATE_PENDING", "STATE_CONFIRMED"}

    _eventually("the end of the order", looked)
    return found


def _eventually(what: str, holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _SECONDS
    while not holds():
        _true(f"{what} within {_SECONDS} s", time.monotonic() < until)
        time.sleep(0.05)


def _ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    _same(f"the status of {answer.text[:200]}", answer.status_code, status)
    found: dict[str, Any] = answer.json()
    return found


def _refused(answer: httpx.Response, status: int, code: str) -> None:
    _same(f"the status of {answer.text[:200]}", answer.status_code, status)
    _same("the kind of answer", answer.headers["content-type"], "application/problem+json")
    _same("the code", answer.json()["code"], code)


def _same(what: str, found: object, wanted: object) -> None:
    _true(f"{what} is {found!r}, not {wanted!r}", found == wanted)


def _true(what: str, holds: bool) -> None:
    if not holds:
        raise JourneyError(what)
