"""The shop while it grows: Python answers from the start, then its native parts, built here, and nobody who buys notices."""

import itertools
import json
import os
from collections.abc import Iterator

import httpx
import pytest
from natives import BUILD_SECONDS, needs_tools, shared_builds
from shop import Shop, Visitor
from trouble import Call, asking, books_balance, films_with

pytestmark = [pytest.mark.slow, needs_tools]
NATIVE = {"pricing": "rust", "signing": "rust", "inventory": "go", "gateway": "go"}
# Times mean little where tests run beside each other, so slow is what is slower by far.
QUICK = ("--calls", "20", "--sample", "100", "--margin", "1000", "--slow", "50", "--watch", "1s")


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

    shop.wait_until(lambda: _decided(shop), BUILD_SECONDS)
    after = _buys(buyer)

    assert _implementations(shop) == NATIVE, shop.status()["parts"]
    assert (before, after) == ("STATE_COMPLETED", "STATE_COMPLETED")
    assert shop.command("app", "payments", "audit", "--home", str(shop.home), check=False).returncode == 0


def _decided(shop: Shop) -> bool:
    """Whether it was said of each contract whether it is bound. No command is started: it would take its time from the builds."""
    found = [said for part in shop.state()["parts"] for said in part["contracts"].values()]
    return all(said == "bound" or said.startswith("python:") for said in found)


def test_a_second_start_builds_nothing_asks_no_case_again_and_waits_until_it_is_bound(shop: Shop) -> None:
    shop.down()

    done = shop.command(
        "up", "--detach", "--wait", "bound", "--port", "0", "--shape", "grow", "--home", str(shop.home), check=False
    )

    shop.url = shop.status()["url"]
    assert done.returncode == 0, done.stderr
    assert "was built" not in done.stderr
    assert _asked(shop)[-len(NATIVE) :] == [0] * len(NATIVE)
    for name, language in NATIVE.items():
        assert f"{name} -> {language}   " in done.stderr
    assert _bound(shop)
    assert _buys(shop.buyer()) == "STATE_COMPLETED"


def _asked(shop: Shop) -> list[int]:
    """How many cases were asked before something was bound by its evidence, each time."""
    lines = (shop.home / "logs" / "supervisor.jsonl").read_text().splitlines()
    return [said["asked"] for said in map(json.loads, lines) if "asked" in said]


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


def test_inventory_is_cut_over_by_steps_and_rolled_back_and_no_order_fails(shop: Shop) -> None:
    at_home = ("--home", str(shop.home))
    shop.command("rollback", "inventory", *at_home)

    with asking(shop, one=_ordering(shop), two=_ordering(shop), three=_ordering(shop)) as asker:
        rehearsed = shop.command("rehearse", "inventory", *at_home, timeout=BUILD_SECONDS)
        cutover = ("cutover", "inventory", "--to", "go", "--steps", "25,100", *QUICK, *at_home)
        moved = shop.command(*cutover, check=False, timeout=BUILD_SECONDS)
        there = _implementations(shop)["inventory"]
        shop.command("rollback", "inventory", *at_home)
        asked = len(asker.heard)
        shop.wait_until(lambda: len(asker.heard) > asked + 10, 30)

    back = _implementations(shop)["inventory"]
    history = shop.command("cutover", "--history", "inventory", *at_home).stdout
    shop.command("bind", "inventory=auto", *at_home)
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert [each for each in asker.heard if each.status != 201 and each.code != "OUT_OF_STOCK"] == []
    assert sum(each.status == 201 for each in asker.heard) > len(asker.heard) / 2
    assert "; 0 of " in rehearsed.stdout
    assert "mixed: 0 of" in moved.stdout, "both at work on the same rows is part of the evidence"
    assert "Reserve stays in python" not in moved.stdout, "its calls are divided by their key"
    assert "go 25 % -> go 100 %" in history
    assert (there, back) == ("go", "python")
    books_balance(shop)
    shop.wait_until(lambda: _bound(shop), BUILD_SECONDS)


def _ordering(shop: Shop) -> Call:
    """Orders of somebody who buys one film after another."""
    buyer = shop.buyer()
    films = itertools.cycle(films_with(buyer, 40, count=60))

    def order(_: httpx.Client) -> httpx.Response:
        return buyer.order([(next(films), 1)])

    return order
