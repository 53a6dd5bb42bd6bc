"""The shop while it grows: Python answers from the start, then its native parts, built here, and nobody who buys notices."""

import os
from collections.abc import Iterator

import pytest
from natives import BUILD_SECONDS, needs_tools, shared_builds
from shop import Shop, Visitor

pytestmark = [pytest.mark.slow, needs_tools]
NATIVE = {"pricing": "rust", "signing": "rust", "inventory": "go", "gateway": "go"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One that is down."""
    environment = {"TRICORN_RATE_FACTOR": "100", **shared_builds()}
    shop = Shop(tmp_path_factory.mktemp("grow") / "home", "--shape", "grow", environment=environment)
    yield shop
    shop.down()


def _buys(visitor: Visitor) -> str:
    """The state of an order that somebody places."""
    film = next(film for film in visitor.products(pageSize=50) if film["inventory"]["available"] > 10)
    answer = visitor.order([(film["productId"], 2)])
    assert answer.status_code == 201, answer.text
    return str(visitor.settled(answer.json()["orderId"])["state"])


def _implementations(shop: Shop) -> dict[str, str]:
    services = {service["name"]: service["implementation"] for service in shop.status()["services"]}
    return {name: services[name] for name in NATIVE}


def _bound(shop: Shop) -> bool:
    return _implementations(shop) == NATIVE


def test_a_purchase_goes_through_before_and_after_the_parts_are_bound(shop: Shop) -> None:
    shop.up()
    buyer = shop.buyer()
    before = _buys(buyer)

    shop.wait_until(lambda: _bound(shop) or _given_up(shop), BUILD_SECONDS)
    after = _buys(buyer)

    assert _implementations(shop) == NATIVE, shop.status()["parts"]
    assert (before, after) == ("STATE_COMPLETED", "STATE_COMPLETED")
    assert shop.command("app", "payments", "audit", "--home", str(shop.home), check=False).returncode == 0


def _given_up(shop: Shop) -> bool:
    stays = [
        said for part in shop.status()["parts"] for said in part["contracts"].values() if said.startswith("python:")
    ]
    return bool(stays)


def test_a_second_start_builds_nothing_and_waits_until_it_is_bound(shop: Shop) -> None:
    shop.down()

    done = shop.command(
        "up", "--detach", "--wait", "bound", "--port", "0", "--shape", "grow", "--home", str(shop.home), check=False
    )

    shop.url = shop.status()["url"]
    assert done.returncode == 0, done.stderr
    assert "was built" not in done.stderr
    for name, language in NATIVE.items():
        assert f"{name} -> {language}   " in done.stderr
    assert _bound(shop)
    assert _buys(shop.buyer()) == "STATE_COMPLETED"


def test_an_engine_that_is_killed_is_back_and_a_quote_in_between_is_answered(shop: Shop) -> None:
    visitor = shop.visitor()
    lines = [(film["productId"], 1) for film in visitor.products(pageSize=50) if film["inventory"]["available"] > 10][
        :5
    ]
    first = shop.pid("engine")

    os.kill(first, 9)
    quotes = [visitor.quote(lines).status_code for _ in range(20)]
    shop.wait_until(lambda: shop.pid("engine") != first and _bound(shop), 30)

    assert set(quotes) == {200}
    assert next(each["restarts"] for each in shop.status()["processes"] if each["name"] == "engine") == 1
