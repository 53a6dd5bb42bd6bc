"""A customer's way through the shop, and what the books say afterwards."""

import uuid

import pytest
from shop import Shop


def test_a_customer_registers_searches_buys_and_sees_the_order(agora: Shop) -> None:
    buyer = agora.buyer()
    film = buyer.products(query="toy st")[0]
    quote = buyer.quote([(film["productId"], 2)]).json()

    answer = buyer.order([(film["productId"], 2)], expectedTotal=quote["total"])

    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert order["total"] == quote["total"]
    assert buyer.settled(order["orderId"])["state"] == "STATE_COMPLETED"
    listed = buyer.http.get("/api/v1/orders").json()["orders"]
    assert [entry["orderId"] for entry in listed] == [order["orderId"]]


def test_stock_falls_by_what_was_bought_and_returns_when_it_is_cancelled(agora: Shop) -> None:
    buyer = agora.buyer()
    film = next(film for film in buyer.products(pageSize=50) if film["inventory"]["available"] > 60)
    path = f"/api/v1/products/{film['productId']}"
    before = buyer.http.get(path).json()["inventory"]["available"]
    order = buyer.order([(film["productId"], 3)]).json()
    buyer.settled(order["orderId"])

    cancelled = buyer.http.post(f"/api/v1/orders/{order['orderId']}:cancel", json={})

    assert cancelled.status_code == 200, cancelled.text
    assert cancelled.json()["state"] == "STATE_CANCELLED"
    assert agora.visitor().http.get(path).json()["inventory"]["available"] == before


@pytest.mark.parametrize(
    ("method", "code"), [("test_declined", "PAYMENT_DECLINED"), ("test_insufficient_funds", "INSUFFICIENT_FUNDS")]
)
def test_a_refused_payment_refuses_the_order_and_gives_the_stock_back(agora: Shop, method: str, code: str) -> None:
    buyer = agora.buyer()
    film = buyer.products(pageSize=1)[0]
    key = str(uuid.uuid4())

    answer = buyer.order([(film["productId"], 1)], key=key, method=method)
    again = buyer.order([(film["productId"], 1)], key=key, method=method)

    assert (answer.status_code, answer.json()["code"]) == (402, code)
    assert (again.status_code, again.json()["code"]) == (402, code)


def test_a_lost_answer_of_the_acquirer_is_asked_for_again(agora: Shop) -> None:
    buyer = agora.buyer()
    film = buyer.products(pageSize=1)[0]

    answer = buyer.order([(film["productId"], 1)], method="test_answer_lost")

    assert answer.status_code == 201, answer.text
    assert buyer.settled(answer.json()["orderId"])["state"] == "STATE_COMPLETED"


def test_one_key_gives_one_order(agora: Shop) -> None:
    buyer = agora.buyer()
    film = buyer.products(pageSize=1)[0]
    key = str(uuid.uuid4())

    first = buyer.order([(film["productId"], 1)], key=key).json()
    second = buyer.order([(film["productId"], 1)], key=key).json()
    other = buyer.order([(film["productId"], 2)], key=key)

    assert first["orderId"] == second["orderId"]
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_a_price_that_moved_is_not_charged(agora: Shop) -> None:
    buyer = agora.buyer()
    film = buyer.products(pageSize=1)[0]

    answer = buyer.order([(film["productId"], 1)], expectedTotal={"currency": "USD", "minorUnits": "1"})

    assert (answer.status_code, answer.json()["code"]) == (409, "PRICE_CHANGED")


def test_nobody_sees_the_order_of_another(agora: Shop) -> None:
    buyer, other = agora.buyer(), agora.buyer()
    film = buyer.products(pageSize=1)[0]
    order = buyer.order([(film["productId"], 1)]).json()

    answers = [
        other.http.get(f"/api/v1/orders/{order['orderId']}"),
        other.http.post(f"/api/v1/orders/{order['orderId']}:cancel", json={}),
        other.http.get(f"/api/v1/orders/{order['orderId']}:watch"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
