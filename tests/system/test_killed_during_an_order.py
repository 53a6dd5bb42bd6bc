"""The process is killed at each named point of an order. After the restart every order has happened once, and books and
stock add up.
"""

import contextlib
import time
import uuid
from collections.abc import Iterator

import httpx
import psutil
import pytest
from shop import Shop, Visitor

# No more at once than the supervisor restarts within a minute.
BEFORE_THE_PIVOT = ["orders.created", "orders.reserved", "payments.authorise.acquired", "orders.authorised"]
AFTER_THE_PIVOT = ["orders.placed", "orders.stock_confirmed", "payments.capture.acquired", "orders.captured"]
OPEN_ORDERS = "SELECT count(*) FROM orders.orders WHERE open"
STOCK = """SELECT sum(received) - sum(available) - sum(held) - sum(sold), sum(held) FROM inventory.stock"""
SOLD = """SELECT sum(sold) FROM inventory.stock WHERE product_id = '{}'"""


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("killed") / "home").up()
    yield shop
    shop.down()


@pytest.mark.slow
@pytest.mark.parametrize("points", [BEFORE_THE_PIVOT, AFTER_THE_PIVOT], ids=["before the pivot", "after the pivot"])
def test_an_order_survives_the_death_of_its_process(shop: Shop, points: list[str]) -> None:
    buyer = shop.buyer()
    film = buyer.products(query="toy story")[0]["productId"]
    sold = int(shop.sql(SOLD.format(film)))
    keys = []
    for point in points:
        keys.append(str(uuid.uuid4()))
        _buy_while_it_is_killed(shop, buyer, film, keys[-1], point)

    for begun in buyer.http.get("/api/v1/orders").json()["orders"]:
        buyer.settled(begun["orderId"])
    assert shop.sql(OPEN_ORDERS) == "0"

    orders = [buyer.order([(film, 1)], key=key) for key in keys]
    assert [order.status_code for order in orders] == [201] * len(points)
    # An earlier order that is taken over may pass the point first: then this key's was not begun before.
    settled = [buyer.settled(order.json()["orderId"])["state"] for order in orders]
    assert settled == ["STATE_COMPLETED"] * len(points)
    assert len(buyer.http.get("/api/v1/orders").json()["orders"]) == len(points)
    assert int(shop.sql(SOLD.format(film))) == sold + len(points)
    assert shop.sql(STOCK) == "0|0"
    assert shop.sql("SELECT state, count(*) FROM payments.payment GROUP BY 1") == f"CAPTURED|{len(points)}"
    audit = shop.command("app", "payments", "audit", "--home", str(shop.home), check=False)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def _buy_while_it_is_killed(shop: Shop, buyer: Visitor, film: str, key: str, point: str) -> None:
    pid = shop.pid()
    shop.failpoints.write_text(f"{point}=kill")
    with contextlib.suppress(httpx.HTTPError):  # before the pivot the process dies before it answers
        buyer.order([(film, 1)], key=key)
    shop.wait_until(lambda: not shop.failpoints.exists() and not psutil.pid_exists(pid) and _answers(shop), 30)


def _answers(shop: Shop) -> bool:
    try:
        return httpx.get(f"{shop.url}/health/ready", timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        time.sleep(0.05)
        return False
