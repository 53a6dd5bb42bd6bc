"""A customer's way through the shop, and what the books say afterwards; the same whoever prices and signs."""

import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from natives import BUILD_SECONDS, languages, needs_tools, shared_builds
from shop import Shop, Visitor

_NATIVE = (pytest.mark.slow, needs_tools)
PRICING = "agora.pricing.v1.PricingService"
SECONDS = 30
ASKED = {"python": {"python"}, "native": {"rust"}, "split": {"python", "rust"}, "front": {"python"}, "behind": {"rust"}}
"""Of each shape: who is asked for prices."""

BOUND = {
    "native": {"pricing": "rust", "signing": "rust", "inventory": "go", "gateway": "go"},
    "split": {"pricing": "rust:50", "signing": "rust:50", "inventory": "go", "gateway": "go"},
    "front": {"pricing": "python", "signing": "python", "inventory": "python", "gateway": "go"},
    "behind": {"pricing": "rust", "signing": "rust", "inventory": "go", "gateway": "python"},
}
"""Of each mixture: who answers what, as far as the shape `native` has it."""

_MARKS = {"front": (*_NATIVE, pytest.mark.full)}


@pytest.fixture(scope="module")
def native_agora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A filled shop in which every native part answers what it can."""
    environment = {"TRICORN_RATE_FACTOR": "100", **shared_builds()}
    shop = Shop(tmp_path_factory.mktemp("native") / "home", "--shape", "native", environment=environment)
    shop.up(BUILD_SECONDS)
    yield shop
    shop.down()


@pytest.fixture(
    scope="module", params=["python", *(pytest.param(name, marks=_MARKS.get(name, _NATIVE)) for name in BOUND)]
)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def agora(request: pytest.FixtureRequest, shape: str) -> Iterator[Shop]:
    """The shop that all tests share; or the native one, with more or less of what it does given back to Python."""
    if shape == "python":
        yield request.getfixturevalue("agora")
        return
    shop: Shop = request.getfixturevalue("native_agora")
    there = {service["name"] for service in shop.status()["services"]}
    for target, implementation in BOUND[shape].items():
        language = implementation.partition(":")[0]
        if target in there and language in {*languages("native").values()}:
            shop.command("bind", f"{target}={implementation}", "--home", str(shop.home))
    shop.url = shop.status()["url"]
    yield shop


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


def test_prices_are_asked_of_those_whom_the_shape_names(agora: Shop, shape: str) -> None:
    buyer, staff, quotes = agora.buyer(), agora.demo("staff"), 40
    line = (buyer.products(pageSize=1)[0]["productId"], 1)
    before = _asked(staff)

    answers = {buyer.quote([line]).status_code for _ in range(quotes)}

    agora.wait_until(lambda: (_asked(staff) - before).total() >= quotes, SECONDS)
    asked = _asked(staff) - before
    assert answers == {200}
    assert set(asked) == ASKED[shape], asked


def test_the_books_are_signed_right(agora: Shop) -> None:
    audit = agora.command("app", "payments", "audit", "--home", str(agora.home), check=False)

    assert audit.returncode == 0, audit.stdout + audit.stderr


def _asked(staff: Visitor) -> Counter[str]:
    """How often each implementation was asked for prices so far; Python not where it stood in for another."""
    answer = staff.http.get("/api/v1/stats")
    assert answer.status_code == 200, answer.text
    pricing = [each for each in answer.json()["services"] if each["name"] == PRICING]
    asked = Counter({each["implementation"]: int(each["calls"]) for each in pricing})
    asked["python"] -= sum(int(each["fallbacks"]) for each in pricing)
    return asked
