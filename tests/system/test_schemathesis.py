"""schemathesis reads the OpenAPI document and tries what it allows and what it forbids, on every route, as everyone.

It accepts no 5xx, no answer that the document does not describe, and no success for a request that breaks the document.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop, Visitor

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
]
CONFIGURATION = """
[auth]
auto-signup = false

[checks.negative_data_rejection]
expected-statuses = ["4xx"]

[parameters]
{parameters}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop of its own: what is tried here changes it, and its limits would answer instead of it."""
    shop = Shop(tmp_path_factory.mktemp("tried") / "home", environment={"TRICORN_RATE_FACTOR": "1000"})
    yield shop.up()
    shop.down()


def _buyer(shop: Shop) -> tuple[Visitor, dict[str, str]]:
    buyer = shop.buyer()
    film = buyer.products(pageSize=1)[0]["productId"]
    order = buyer.order([(film, 1)]).json()["orderId"]
    buyer.settled(order)
    return buyer, {"path.orderId": order, "path.productId": film}


def _seller(shop: Shop) -> tuple[Visitor, dict[str, str]]:
    seller = shop.demo("seller")
    me = seller.http.get("/api/v1/users/me").json()["userId"]
    mine = next(film for film in seller.products(pageSize=100) if film["sellerId"] == me)
    return seller, {"path.productId": mine["productId"]}


def _anonymous(shop: Shop) -> tuple[Visitor, dict[str, str]]:
    return shop.visitor(), {}


def _staff(shop: Shop) -> tuple[Visitor, dict[str, str]]:
    return shop.demo("staff"), {}


WHO = {"anonymous": _anonymous, "buyer": _buyer, "seller": _seller, "staff": _staff}


@pytest.mark.slow
@pytest.mark.parametrize("who", WHO)
def test_every_route_answers_as_its_document_says(shop: Shop, tmp_path: Path, who: str) -> None:
    _try(shop, tmp_path, who, "examples,fuzzing", examples=5)


@pytest.mark.slow
@pytest.mark.parametrize(("who", "routes"), [("seller", "/products"), ("buyer", "/(orders|quotes|users|auth)")])
def test_a_route_refuses_each_way_to_break_its_document(shop: Shop, tmp_path: Path, who: str, routes: str) -> None:
    """Those who may call the routes try them: others are turned away before their request is looked at."""
    _try(shop, tmp_path, who, "coverage", "--include-path-regex", routes)


@pytest.mark.full
@pytest.mark.parametrize("who", WHO)
def test_every_route_answers_so_to_many_more_requests(shop: Shop, tmp_path: Path, who: str) -> None:
    _try(shop, tmp_path, who, "examples,coverage,fuzzing", examples=150)


def _try(shop: Shop, folder: Path, who: str, phases: str, *only: str, examples: int = 1) -> None:
    visitor, ids = WHO[who](shop)
    authorisation = visitor.http.headers.get("Authorization")
    configuration = folder / "schemathesis.toml"
    parameters = "\n".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in ids.items())
    configuration.write_text(CONFIGURATION.format(parameters=parameters))

    tried = subprocess.run(
        [
            *(Path(sys.executable).parent / "st", "--no-color", "--config-file", configuration),
            *("run", f"{shop.url}/openapi.json", "--checks", ",".join(CHECKS)),
            *("--phases", phases, "--max-examples", str(examples), "--seed", "3", *only),
            *("--continue-on-failure", "--warnings", "off", "--suppress-health-check", "all"),
            *(["--header", f"Authorization: {authorisation}"] if authorisation else []),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
    assert "No issues found" in tried.stdout, tried.stdout
    assert shop.status()["processes"][-1]["restarts"] == 0
