"""Agora's own gateways hand the port to each other while people look on and buy, and nobody's answer is lost."""

from collections.abc import Iterator

import pytest
from natives import BUILD_SECONDS, needs_tools, shared_builds
from shop import Shop
from tests.supervise.raw_client import RawClient

pytestmark = [pytest.mark.slow, needs_tools]

BETWEEN = 60
"""Answers between two switches."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One whose gateway is Go's."""
    environment = {"TRICORN_RATE_FACTOR": "10000", **shared_builds()}
    shop = Shop(tmp_path_factory.mktemp("handover") / "home", "--shape", "grow", environment=environment)
    shop.up()
    shop.command("bind", "gateway=go", "--home", str(shop.home), timeout=BUILD_SECONDS)
    yield shop
    shop.down()


def _switched(shop: Shop, path: str, rate: float, times: int) -> RawClient:
    with RawClient(shop.url, path, rate) as client:
        client.until(BETWEEN)
        for _ in range(times):
            for implementation in ("python", "go"):
                shop.command("bind", f"gateway={implementation}", "--home", str(shop.home))
                client.until(BETWEEN)
    return client


@pytest.mark.parametrize(
    ("rate", "times"), [(100, 3), pytest.param(500, 20, marks=pytest.mark.full)], ids=["ordinary", "full"]
)
def test_no_answer_is_lost_cut_or_doubled(shop: Shop, rate: float, times: int) -> None:
    film = shop.visitor().products(pageSize=1)[0]["productId"]

    account = _switched(shop, f"/api/v1/products/{film}", rate, times).account

    assert account.failures == []
    assert account.answered == account.asked
    assert set(account.statuses) <= {200, 504}, "a machine that is too busy says so"
    assert account.statuses[200] > account.asked / 2


def test_who_was_logged_in_stays_so_and_an_order_is_followed_to_its_end(shop: Shop) -> None:
    buyer = shop.buyer()
    film = next(film for film in buyer.products(pageSize=50) if film["inventory"]["available"] > 10)

    states = []
    for implementation in ("python", "go"):
        answer = buyer.order([(film["productId"], 1)])
        shop.command("bind", f"gateway={implementation}", "--home", str(shop.home))
        assert buyer.http.get("/api/v1/users/me").status_code == 200
        states.append(buyer.settled(answer.json()["orderId"])["state"])

    assert states == ["STATE_COMPLETED", "STATE_COMPLETED"]


def test_djangos_pages_are_there_behind_both(shop: Shop) -> None:
    found = []
    for implementation in ("python", "go"):
        shop.command("bind", f"gateway={implementation}", "--home", str(shop.home))
        page = shop.visitor().http.get("/admin/login/")
        found.append((page.status_code, "Django" in page.text or "csrf" in page.text))

    assert found == [(200, True), (200, True)]
