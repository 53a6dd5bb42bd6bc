"""Trouble of many kinds, in every shape: the gateway answers what it can, says what it cannot, and all is whole afterwards."""

import contextlib
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from natives import BUILD_SECONDS, needs_tools, shared_builds
from shop import Shop
from trouble import (
    PATIENCE,
    SLACK,
    asking,
    books_balance,
    films_with,
    gateway,
    is_back,
    me,
    processes,
    read,
    recovers,
    rows_are_free,
    rows_held,
    said_properly,
    whole,
)

ENOUGH = 30
"""Units that a film has at least, and so orders of one that may be tried."""

STANDSTILL = 10.0

CLOCKS = "shop=60,inventory=-60"
"""Seconds that clocks are off all the time, as far as there are such processes; PostgreSQL's is right."""

SLOW_CLIENTS = 200

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["python", pytest.param("native", marks=needs_tools)])
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def running(shape: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    environment = {"TRICORN_RATE_FACTOR": "100", "TRICORN_CLOCK_OFFSETS": CLOCKS, **shared_builds()}
    shop = Shop(tmp_path_factory.mktemp(f"trouble-{shape}") / "home", "--shape", shape, environment=environment)
    yield shop.up(BUILD_SECONDS)
    books_balance(shop)
    shop.down()


@pytest.fixture
def shop(running: Shop) -> Iterator[Shop]:
    """A shop that must be whole afterwards."""
    yield running
    recovers(running)


def test_rows_that_somebody_holds_stop_their_own_orders_and_nothing_else(shop: Shop) -> None:
    buyer, other = shop.buyer(), shop.buyer()
    held, free = films_with(buyer, ENOUGH, count=2)

    with (
        rows_held(shop, held),
        asking(shop, product=read(held), me=me(buyer)) as asker,
        ThreadPoolExecutor(3) as pool,
    ):
        until = time.monotonic() + STANDSTILL
        stuck = [pool.submit(buyer.order, [(held, 1)]) for _ in range(3)]
        passed = []
        while time.monotonic() < until and len(passed) < ENOUGH:
            passed.append(other.order([(free, 1)]))
        answers = [each.result() for each in stuck]

    assert {answer.status_code for answer in passed} == {201}, [answer.text for answer in passed]
    assert {answer.status_code for answer in answers} <= {503, 504}, [answer.text for answer in answers]
    said_properly(asker.heard)
    assert {each.status for each in asker.heard} == {200}


def test_a_process_that_stands_still_for_ten_seconds_is_waited_for_or_replaced(shop: Shop) -> None:
    buyer, other = shop.buyer(), shop.buyer()
    film, held = films_with(buyer, ENOUGH, count=2)
    if "inventory" not in processes(shop):
        pytest.skip("there is one process, and where it stands still nobody can be asked meanwhile")
    pid = shop.pid("inventory")

    with (
        rows_held(shop, held, limits_of="agora_inventory_runtime"),
        asking(
            shop,
            product=read(held),
            me=me(buyer),
            order=lambda _: buyer.order([(film, 1)]),
            stuck=lambda _: other.order([(held, 1)]),
        ) as asker,
    ):
        os.kill(pid, signal.SIGSTOP)
        try:
            psutil.wait_procs([psutil.Process(pid)], timeout=STANDSTILL)
            # Who stands still with rows locked is ended by PostgreSQL.
            shop.wait_until(lambda: rows_are_free(shop, held), SLACK)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        shop.wait_until(lambda: whole(shop) or is_back(shop, "inventory", pid), PATIENCE)

    said_properly(asker.heard)
    assert {each.status for each in asker.of("me")} == {200}


def test_a_database_that_restarts_is_waited_for(shop: Shop) -> None:
    buyer = shop.buyer()
    (film,) = films_with(buyer, 30)

    with asking(
        shop,
        live=lambda client: client.get("/health/live"),
        product=read(film),
        order=lambda _: buyer.order([(film, 1)]),
    ) as asker:
        pid = shop.pid("postgres")
        os.kill(pid, signal.SIGINT)
        shop.wait_until(lambda: shop.pid("postgres") != pid, PATIENCE)
        recovers(shop)

    said_properly(asker.heard)
    assert {each.status for each in asker.of("live")} == {200}


def test_a_gateway_that_stands_still_is_helped_out_for_whoever_comes(shop: Shop) -> None:
    name, seller = gateway(shop), shop.demo("seller")
    if name == "shop":
        pytest.skip("there is one process, and nobody to help it out")
    (film,) = films_with(seller, 30)
    pid = shop.pid(name)

    os.kill(pid, signal.SIGSTOP)
    try:
        come = [shop.visitor().http.get(f"/api/v1/products/{film}").status_code for _ in range(5)]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    assert come == [200] * 5


def test_whoever_is_killed_comes_back_and_others_go_on_meanwhile(shop: Shop) -> None:
    buyer = shop.buyer()
    (film,) = films_with(buyer, 60)

    for name in processes(shop):
        pid = shop.pid(name)
        with asking(shop, product=read(film), order=lambda _: buyer.order([(film, 1)])) as asker:
            os.kill(pid, signal.SIGKILL)
            shop.wait_until(lambda: is_back(shop, name, pid), PATIENCE)  # noqa: B023 - called before the next
            recovers(shop)

        said_properly(asker.heard, cut=name == gateway(shop))


def test_clients_that_take_their_time_keep_nobody_else_from_being_answered(shop: Shop) -> None:
    buyer = shop.buyer()
    (film,) = films_with(buyer, 30)
    address = (urlsplit(shop.url).hostname or "", urlsplit(shop.url).port or 0)
    half = (
        b"GET /api/v1/products HTTP/1.1\r\nHost: a\r\n",
        b"POST /api/v1/quotes HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{",
    )

    with contextlib.ExitStack() as stack, asking(shop, product=read(film), me=me(buyer)) as asker:
        slow = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(SLOW_CLIENTS)]
        for number, connection in enumerate(slow):
            connection.sendall(half[number % 2])
        orders = {buyer.order([(film, 1)]).status_code for _ in range(5)}
        ends = {_status(connection) for connection in slow}

    said_properly(asker.heard)
    assert {each.status for each in asker.heard} == {200}
    assert orders == {201}
    assert ends <= {b"408", b""}, "whoever does not finish is told so, or left"


def test_an_order_that_cannot_be_fulfilled_is_refused_alone(shop: Shop) -> None:
    seller = shop.demo("seller")
    category = seller.http.get("/api/v1/categories").json()["categories"][0]["categoryId"]
    price = {"currency": "USD", "minorUnits": "500"}
    body = {"title": "Few of it", "categoryIds": [category], "basePrice": price}
    film = seller.http.post("/api/v1/products", json=body).json()["productId"]
    delivery = {"Idempotency-Key": str(uuid.uuid4())}
    seller.http.post(f"/api/v1/products/{film}:restock", json={"quantity": 20}, headers=delivery)
    buyers = [shop.buyer() for _ in range(4)]

    with ThreadPoolExecutor(12) as pool:
        good = [pool.submit(buyers[number % 4].order, [(film, 1)]) for number in range(16)]
        poisoned = [pool.submit(buyers[number].order, [(film, 90)]) for number in range(4)]
        answers = [each.result() for each in good]
        refusals = [each.result() for each in poisoned]

    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert {(refusal.status_code, refusal.json()["code"]) for refusal in refusals} == {(409, "OUT_OF_STOCK")}
    seen = shop.visitor().http.get(f"/api/v1/products/{film}").json()
    assert seen["inventory"]["available"] == 4


def _status(connection: socket.socket) -> bytes:
    """The status that a connection ends with; none when it is just closed."""
    with contextlib.suppress(ConnectionError):
        return b"".join(iter(lambda: connection.recv(4096), b"")).partition(b" ")[2][:3]
    return b""


def test_a_clock_that_is_a_minute_off_stops_nobody_from_buying(shop: Shop) -> None:
    running = {name: psutil.Process(pid).environ().get("TRICORN_CLOCK_OFFSET") for name, pid in processes(shop).items()}
    said = dict(each.split("=") for each in CLOCKS.split(","))

    assert {name: float(offset) for name, offset in running.items() if offset} == {
        name: float(offset) for name, offset in said.items() if name in running
    }, "all of these tests have clocks that are off"
    assert whole(shop)


@pytest.mark.full
def test_nor_does_one_that_is_off_to_the_other_side(tmp_path: Path, shape: str) -> None:
    environment = {"TRICORN_CLOCK_OFFSETS": "shop=-60,inventory=60", **shared_builds()}
    shop = Shop(tmp_path / "home", "--shape", shape, environment=environment).up(BUILD_SECONDS)
    try:
        assert whole(shop)
        books_balance(shop)
    finally:
        shop.down()
