"""What tests of trouble need: somebody who asks all the time, and what may be said to them meanwhile."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

import httpx
import psycopg
from refusals import PROBLEM, VOCABULARY
from shop import Shop, Visitor

LONGEST_DEADLINE = 10.0
"""Seconds, of any method that is asked here: the order's."""

READ_DEADLINE = 1.0
"""Seconds, of the others."""

READS = {"live", "product", "me"}

SLACK = 5.0
"""Seconds that a busy machine may add to it."""

RECOVERY = 5.0
"""Seconds after the end of a trouble from which on whoever comes can do everything."""

PATIENCE = 60.0
"""Seconds that starting a process again may take on a busy machine."""

STOCK = "SELECT sum(received) - sum(available) - sum(held) - sum(sold) FROM inventory.stock"
BELOW_ZERO = "SELECT count(*) FROM inventory.stock WHERE available < 0 OR held < 0 OR sold < 0"
LIMITS = """
SELECT setting FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole, unnest(setconfig) AS setting
WHERE rolname = '{}' AND setting LIKE '%_timeout=%'"""


Call = Callable[[httpx.Client], httpx.Response]


@dataclass(frozen=True)
class Heard:
    """An answer: ``status`` 0 when the connection was refused or cut. ``code`` is the problem's, empty for a success."""

    what: str
    status: int
    code: str
    seconds: float


@dataclass
class Asker:
    """Asks for some things in turn, all the time."""

    heard: list[Heard] = field(default_factory=list)

    def of(self, what: str) -> list[Heard]:
        return [each for each in self.heard if each.what == what]


@contextmanager
def asking(shop: Shop, **calls: Call) -> Iterator[Asker]:
    """Each call is made again and again in a thread of its own, as long as the block lasts."""
    asker, stop = Asker(), Event()

    def ask(what: str, call: Call) -> None:
        with httpx.Client(base_url=shop.url, timeout=LONGEST_DEADLINE + SLACK + 5) as client:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    answer = call(client)
                    code = answer.json()["code"] if answer.headers.get("content-type") == PROBLEM else ""
                    status = answer.status_code
                except (httpx.HTTPError, ValueError):
                    status, code = 0, ""
                asker.heard.append(Heard(what, status, code, time.monotonic() - began))
                stop.wait(0.05)

    threads = [Thread(target=ask, args=each, daemon=True) for each in calls.items()]
    for thread in threads:
        thread.start()
    try:
        yield asker
    finally:
        stop.set()
        for thread in threads:
            thread.join(LONGEST_DEADLINE + SLACK + 10)


def said_properly(heard: list[Heard], *, cut: bool = False) -> None:
    """Each failure is of the vocabulary and came in time; ``cut``: connections may have been cut besides, or wait until somebody accepts them."""
    for each in heard:
        assert each.status != 0 or cut, each
        assert each.status < 400 or each.code in VOCABULARY, each
        assert each.code not in {"INTERNAL", "CANCELLED"}, each  # nobody here went away
        deadline = READ_DEADLINE if each.what in READS and not cut else LONGEST_DEADLINE
        assert each.seconds < deadline + SLACK, each


def films_with(visitor: Visitor, units: int, count: int = 1) -> list[str]:
    """So many products of which there are at least so many units."""
    found = [film["productId"] for film in visitor.products(pageSize=100) if film["inventory"]["available"] >= units]
    return found[:count]


def processes(shop: Shop) -> dict[str, int]:
    """The application's own, by name, with their pids."""
    ours = {"supervisor", "postgres"}
    return {each["name"]: each["pid"] for each in shop.state()["processes"] if each["name"] not in ours}


def gateway(shop: Shop) -> str:
    """The process that has the public port."""
    return "edge" if "edge" in processes(shop) else "shop"


def read(product: str) -> Call:
    return lambda client: client.get(f"/api/v1/products/{product}")


def me(visitor: Visitor) -> Call:
    token = {"Authorization": visitor.http.headers["Authorization"]}
    return lambda client: client.get("/api/v1/users/me", headers=token)


def whole(shop: Shop) -> bool:
    """Whether a customer who comes now can do everything."""
    try:
        buyer = shop.buyer()
        order = buyer.order([(films_with(buyer, 5)[0], 1)])
        return order.status_code == 201 and buyer.settled(order.json()["orderId"])["state"] == "STATE_COMPLETED"
    except (AssertionError, httpx.HTTPError, ValueError, LookupError):
        return False


def recovers(shop: Shop) -> None:
    """The trouble is over: a customer who comes later than RECOVERY is served. How long a busy machine takes to serve them is not counted."""
    ended = time.monotonic()
    while True:
        came = time.monotonic()
        if whole(shop):
            return
        assert came - ended < RECOVERY, f"not whole for a customer who came {came - ended:.1f} s after the trouble"


def is_back(shop: Shop, name: str, before: int) -> bool:
    """Whether a process was started again and says that it serves."""
    if processes(shop).get(name, before) == before:
        return False
    found = next((each for each in shop.status()["processes"] if each["name"] == name), None)
    return found is not None and found["pid"] != before and bool(found["health"] == "serving")


def books_balance(shop: Shop) -> None:
    """No unit came from nowhere or is less than none, and the ledger is signed right."""
    assert shop.sql(STOCK) == "0"
    assert shop.sql(BELOW_ZERO) == "0"
    audit = shop.command("app", "payments", "audit", "--home", str(shop.home), check=False)
    assert audit.returncode == 0, audit.stdout + audit.stderr


@contextmanager
def rows_held(shop: Shop, *products: str, limits_of: str = "") -> Iterator[None]:
    """Somebody else holds the stock of some products, as one does who stands still in the middle of a transaction: for as long as they like, or
    as long as the limits of a role allow.
    """
    options = " ".join(f"-c {limit}" for limit in shop.sql(LIMITS.format(limits_of)).splitlines())
    with psycopg.connect(shop.state()["databaseUrl"], options=options) as connection:
        connection.execute(
            "SELECT 1 FROM inventory.stock WHERE product_id = ANY(%s::uuid[]) FOR UPDATE", (list(products),)
        )
        try:
            yield
        finally:
            with contextlib.suppress(psycopg.Error):
                connection.rollback()


def rows_are_free(shop: Shop, product: str) -> bool:
    """Whether nobody holds the stock of a product now."""
    free = f"SELECT count(*) FROM (SELECT FROM inventory.stock WHERE product_id = '{product}' FOR UPDATE SKIP LOCKED) AS free"
    return shop.sql(free) == shop.sql(f"SELECT count(*) FROM inventory.stock WHERE product_id = '{product}'")
