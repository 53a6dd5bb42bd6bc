"""Reads at the Go gateway: straight from what contexts publish, without Python, and no older than the reader's own changes."""

import asyncio
import contextlib
import itertools
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest
from browsing import browse, log_in, submit
from natives import BUILD_SECONDS, needs_tools, shared_builds
from shop import Shop, Visitor

from agora_proto.accounts.v1.accounts_pb2 import GetMeRequest, User
from agora_proto.inventory.v1.inventory_pb2 import ListWarehousesRequest
from tricorn.contract import PlatformReason, Refusal
from tricorn.prove.errors import ProveError
from tricorn.prove.figures import Figures, Pairing, read_comparisons
from tricorn.prove.orders import PART, PARTS
from tricorn.prove.recording import Recording
from tricorn.prove.tally import Tallies, read_files
from tricorn.telemetry import CallStats
from tricorn.v1 import limits_pb2
from tricorn.v1.limits_tricorn import LimitsServiceClient
from tricorn.wire import Endpoints, Service, Wire
from tricorn.wire.bindings import BINDINGS_FILE, parse_bindings
from tricorn.wire.endpoints import ENDPOINTS_FILE, LIMITS, parse_endpoints

PATIENCE = 15
_NOT_NOW = {PlatformReason.DEADLINE_EXCEEDED, PlatformReason.UNAVAILABLE}
READS = 25
GET_PRODUCT = "agora.storefront.v1.StorefrontService/GetProduct"
GET_ME, UPDATE_ME = (f"agora.accounts.v1.AccountsService/{each}" for each in ("GetMe", "UpdateMe"))
LIST_WAREHOUSES = "agora.inventory.v1.InventoryService/ListWarehouses"
PRICE_PRODUCTS = "agora.pricing.v1.PricingService/PriceProducts"

pytestmark = [
    pytest.mark.slow,
    needs_tools,
    pytest.mark.skipif(shutil.which("go") is None, reason="there is no go to build the edge with"),
]


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose public port is the edge's, and whose prices come from the engine."""
    environment = {"TRICORN_RATE_FACTOR": "100", **shared_builds()}
    home = tmp_path_factory.mktemp("edge") / "home"
    shop = Shop(home, "--shape", "grow", "--wait", "bound", environment=environment)
    try:
        shop.up(BUILD_SECONDS)
        yield shop
    finally:
        shop.down()


def _calls_of_python(shop: Shop) -> Counter[str]:
    """Calls that the Python process has answered, by method; its own gateway's look at revoked sessions left out."""
    address = (shop.home / "shop.metrics").read_text().strip()
    counted: Counter[str] = Counter()
    for labels, count in re.findall(
        r"^tricorn_calls_total\{(.*)\} (.*)$", httpx.get(f"http://{address}/metrics").text, re.MULTILINE
    ):
        named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        counted[f"{named['service']}/{named['method']}"] += int(float(count))
    del counted["agora.accounts.v1.AccountsService/ListRevocations"]
    return counted


def _read_all(visitor: Visitor, product_id: str) -> set[int]:
    paths = ["/api/v1/users/me", f"/api/v1/products/{product_id}"]
    queries = ["", "?query=star", "?category=Comedy&orderBy=price", "?orderBy=newest&pageSize=50"]
    paths += [f"/api/v1/products{query}" for query in queries]
    return {visitor.http.get(path).status_code for path in paths}


def test_profiles_and_products_are_read_without_python(fronted: Shop) -> None:
    buyer = fronted.buyer()
    product_id = buyer.products(pageSize=1)[0]["productId"]
    _read_all(buyer, product_id)
    before = _calls_of_python(fronted)

    # More than are answered from memory alone: answers with prices are kept for a second.
    statuses = set.union(*(_read_all(buyer, product_id) for _ in range(READS)))
    buyer.http.headers.pop("Authorization")
    strangers = {buyer.http.get(f"/api/v1/products/{product_id}").status_code, *_searches(buyer)}

    assert statuses | strangers == {200}
    assert _calls_of_python(fronted) == before


def _searches(visitor: Visitor) -> set[int]:
    return {
        visitor.http.get("/api/v1/products", params={"query": word}).status_code for word in ("love", "war", "the man")
    }


def test_whoever_changes_their_name_reads_it_at_once(fronted: Shop) -> None:
    buyer = fronted.buyer()

    read = []
    for number in range(READS):
        answer = buyer.http.patch("/api/v1/users/me", json={"displayName": f"Name {number}"})
        assert answer.status_code == 200, answer.text
        read.append(buyer.http.get("/api/v1/users/me").json())

    assert [me["displayName"] for me in read] == [f"Name {number}" for number in range(READS)]
    assert len({me["etag"] for me in read}) == READS


def test_a_seller_reads_their_own_change_at_once_and_others_soon(fronted: Shop) -> None:
    seller, other = fronted.demo("seller"), fronted.visitor()
    category = other.http.get("/api/v1/categories").json()["categories"][0]["categoryId"]
    product = {
        "title": "Before", "description": "", "categoryIds": [category],
        "basePrice": {"currency": "USD", "minorUnits": "1000"},
    }  # fmt: skip
    path = f"/api/v1/products/{seller.http.post('/api/v1/products', json=product).json()['productId']}"
    assert [each.http.get(path).json()["title"] for each in (seller, other)] == ["Before", "Before"]

    seller.http.patch(path, json={"title": "After"})

    assert seller.http.get(path).json()["title"] == "After"
    fronted.wait_until(lambda: other.http.get(path).json()["title"] == "After", PATIENCE)
    seller.http.delete(path)
    assert seller.http.get(path).status_code == 404


def test_a_session_that_ends_while_the_edge_is_there_is_refused(fronted: Shop) -> None:
    buyer = fronted.buyer()
    assert buyer.http.get("/api/v1/users/me").status_code == 200

    buyer.http.post("/api/v1/auth/logout", json={"refreshToken": buyer.tokens["refreshToken"]})

    fronted.wait_until(lambda: buyer.http.get("/api/v1/users/me").status_code == 401, PATIENCE)
    assert buyer.http.get("/api/v1/products").status_code == 401


def test_what_staff_change_on_djangos_pages_is_known_to_the_edge(fronted: Shop) -> None:
    buyer = fronted.buyer()
    me = buyer.http.get("/api/v1/users/me").json()
    path = f"/admin/accounts/user/{me['userId']}/change/"

    with browse(fronted) as browser:
        log_in(browser, "staff")
        renamed = submit(browser, path, display_name="Renamed", is_active="on")
        fronted.wait_until(lambda: buyer.http.get("/api/v1/users/me").json()["displayName"] == "Renamed", PATIENCE)
        submit(browser, path, display_name="Renamed")  # without the mark that says: active

    assert renamed.url.path == "/admin/accounts/user/"
    fronted.wait_until(lambda: buyer.http.get("/api/v1/users/me").status_code == 401, PATIENCE)


def test_the_shop_is_there_by_grpc_and_connect_and_what_is_internal_is_not(fronted: Shop) -> None:
    buyer, nobody = fronted.buyer(), fronted.visitor()
    token = (("authorization", buyer.http.headers["Authorization"]),)

    renamed = buyer.http.post(f"/{UPDATE_ME}", json={"user": {"displayName": "By Connect"}})
    me = buyer.http.get("/api/v1/users/me").json()
    refused = nobody.http.post(f"/{GET_ME}", json={})
    with grpc.insecure_channel(urlsplit(fronted.url).netloc) as channel:
        get_me = channel.unary_unary(f"/{GET_ME}", GetMeRequest.SerializeToString, User.FromString)
        by_grpc = get_me(GetMeRequest(), metadata=token, timeout=PATIENCE)
        inside = channel.unary_unary(f"/{LIST_WAREHOUSES}", ListWarehousesRequest.SerializeToString)
        with pytest.raises(grpc.RpcError) as internal:
            inside(ListWarehousesRequest(), metadata=token, timeout=PATIENCE)

    assert renamed.status_code == 200, renamed.text
    assert me["displayName"] == by_grpc.display_name == "By Connect"
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert internal.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_the_shop_s_statistics_count_what_the_edge_answers_by_itself(fronted: Shop) -> None:
    buyer, staff = fronted.buyer(), fronted.demo("staff")
    products = buyer.products(pageSize=READS, orderBy="price desc")  # their prices are not known yet
    before = _of_the_edge(staff)

    for product in products:
        assert buyer.http.get(f"/api/v1/products/{product['productId']}").status_code == 200
    fronted.wait_until(lambda: (_of_the_edge(staff) - before).total() >= 2 * READS, PATIENCE)

    counted = _of_the_edge(staff) - before
    assert counted["agora.storefront.v1.StorefrontService", "go"] >= READS
    assert counted["agora.pricing.v1.PricingService", "rust"] >= READS
    fronted.wait_until(lambda: _judged_of_the_edge(fronted) >= READS, PATIENCE)


def _judged_of_the_edge(shop: Shop) -> int:
    """Calls that the edge asked of the engine, as the guard of a cutover would see them."""
    return sum(
        tally.calls
        for path, said in read_files(shop.home)
        if path.stem.startswith("edge-")
        for arm, tally in Tallies.from_json(said["tallies"]).arms.items()
        if arm.implementation == "rust"
    )


def _of_the_edge(staff: Visitor) -> Counter[tuple[str, str]]:
    """The calls that the edge answered or asked of native implementations, by contract and who answered."""
    services = staff.http.get("/api/v1/stats").raise_for_status().json()["services"]
    return Counter(
        {
            (each["name"], each["implementation"]): int(each["calls"])
            for each in services
            if each["process"].startswith("edge")
        }
    )


def test_limits_are_asked_from_inside_of_whoever_has_the_port(fronted: Shop) -> None:
    staff = fronted.demo("staff")
    before = _of_the_edge(staff)

    answers = [asyncio.run(_check(fronted, "u:somebody")) for _ in range(2)]
    fronted.wait_until(lambda: (_of_the_edge(staff) - before)[LIMITS, "go"] >= len(answers), PATIENCE)

    assert [(answer.allowed, answer.limit) for answer in answers] == [(True, 600_000)] * 2


async def _check(shop: Shop, caller: str) -> limits_pb2.CheckRateLimitResponse:
    """Asks as a process of the shop would that hosts nothing: by its bindings and endpoints."""
    endpoints = Endpoints(
        Service(CallStats()),
        parse_endpoints((shop.home / ENDPOINTS_FILE).read_text()),
        bindings=parse_bindings((shop.home / BINDINGS_FILE).read_text()),
    )
    try:
        request = limits_pb2.CheckRateLimitRequest(rate="read", caller=caller)
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return await LimitsServiceClient(Wire(endpoints)).check_rate_limit(request)
            except Refusal as refusal:  # the contract allows half a second, and the machine may be busy
                if refusal.reason not in _NOT_NOW or time.monotonic() > ends:
                    raise
    finally:
        await endpoints.close()


def test_what_the_edge_answers_and_asks_is_recorded_and_compared(fronted: Shop, tmp_path: Path) -> None:
    buyer, out, at_home = fronted.buyer(), tmp_path / "pricing.rec", ("--home", str(fronted.home))
    # Each another one: what was read a moment ago is answered from memory.
    products = itertools.cycle(buyer.products(query="m", pageSize=50))
    for target in ("pricing", "storefront/GetProduct"):
        fronted.command("shadow", target, "--sample", "100%", *at_home)

    def seen() -> bool:
        buyer.http.get(f"/api/v1/products/{next(products)['productId']}").raise_for_status()
        return all(each.reversed for each in _compared(fronted)) and _is_recorded(fronted, "edge")

    with fronted.recording("pricing", out):
        fronted.wait_until(seen, PATIENCE)

    recording, found = Recording.open(out), _compared(fronted)
    calls = [(call.method, call.implementation, call.WhichOneof("outcome")) for call in recording.calls()]
    assert "edge" in recording.header.processes
    assert ("PriceProducts", "rust", "answer") in calls
    assert [each.different for each in found] == [0, 0], [each.examples for each in found]


def _is_recorded(shop: Shop, process: str) -> bool:
    """Whether somebody writes down what this process calls."""
    for part in (shop.home / PARTS).glob(f"*/*{PART}"):
        with contextlib.suppress(ProveError):  # its header may be on its way
            if process in Recording.open(part).header.processes:
                return True
    return False


def _compared(shop: Shop) -> tuple[Figures, Figures]:
    """What was found of the engine's prices, and of the edge's products."""
    compared = [(PRICE_PRODUCTS, "rust"), (GET_PRODUCT, "go")]
    priced, read = (read_comparisons(shop.home, method).of(Pairing(method, name)) for method, name in compared)
    return priced, read
