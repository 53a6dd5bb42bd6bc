"""The admin as a browser sees it: forms, cookies, static files, and what other contexts know."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agora.accounts.customers import CustomerCard, Customers, Orders, Standing
from agora_proto.accounts.v1 import accounts_pb2 as pb
from agora_proto.accounts.v1.events_pb2 import UserUpdated
from agora_proto.orders.v1 import orders_pb2
from agora_proto.orders.v1.orders_tricorn import OrdersServiceBase, OrdersServiceClient
from agora_proto.pricing.v1 import pricing_pb2
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceBase, PromotionsServiceClient
from tricorn.contract import PlatformReason, Refusal
from tricorn.data import EmbeddedPostgres
from tricorn.host.testing import running
from tricorn.wire import Call

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
ANN = "0190a000-0000-7000-8000-00000000000a"
PASSWORD = "correct horse battery"
USER_PAGE = f"/admin/accounts/user/{ANN}/change/"


@asynccontextmanager
async def browser(shop: Any) -> AsyncIterator[httpx.AsyncClient]:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        mounted = next(app for prefix, app in shop.app.process.mounts.items() if scope["path"].startswith(prefix))
        await mounted(scope, receive, send)

    transport = httpx.ASGITransport(application, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", follow_redirects=True) as http:
        yield http


async def submit(http: httpx.AsyncClient, path: str, **fields: Any) -> httpx.Response:
    """Opens a page and sends its form, as a browser does."""
    page = await http.get(path)
    (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text))
    data = {"csrfmiddlewaretoken": token} | fields
    return await http.post(path, data=data, headers={"referer": f"http://localhost:8080{path}"})


async def log_in(http: httpx.AsyncClient, email: str = "SAM@example.com", password: str = PASSWORD) -> httpx.Response:
    return await submit(http, "/admin/login/?next=/admin/", username=email, password=password)


async def test_who_is_not_logged_in_is_asked_to(shop: Any) -> None:
    async with browser(shop) as http:
        page = await http.get("/admin/")

    assert page.url.path == "/admin/login/"
    assert "Email" in page.text


async def test_staff_log_in_with_email_and_password_and_find_a_user(shop: Any) -> None:
    async with browser(shop) as http:
        home = await log_in(http)
        found = await http.get("/admin/accounts/user/?q=ann@")
        sellers = await http.get("/admin/accounts/user/?role=seller")

    assert (home.status_code, home.url.path) == (200, "/admin/")
    assert "Ann@example.com" in found.text
    assert "Sam Staff" not in found.text
    assert "0 users" in sellers.text


async def test_the_admins_cookies_are_its_own(shop: Any) -> None:
    async with browser(shop) as http:
        await log_in(http)

        cookies = {cookie.name: (cookie.path, cookie.has_nonstandard_attr("HttpOnly")) for cookie in http.cookies.jar}

    assert cookies == {"agora_admin": ("/admin", True), "agora_admin_csrf": ("/admin", False)}


@pytest.mark.parametrize(
    ("email", "password"), [("ann@example.com", PASSWORD), ("sam@example.com", "wrong"), ("x", "y")]
)
async def test_customers_and_wrong_passwords_are_not_let_in(shop: Any, email: str, password: str) -> None:
    async with browser(shop) as http:
        page = await log_in(http, email, password)

    assert page.url.path == "/admin/login/"
    assert "Please enter the correct email and password for a staff account" in page.text


async def test_the_admin_counts_failed_logins_with_those_of_the_contract(shop: Any) -> None:
    for _ in range(10):
        with pytest.raises(Refusal, match="BAD_CREDENTIALS"):
            await shop.login("sam@example.com", "wrong password")

    async with browser(shop) as http:
        page = await log_in(http)

    assert "too many failed logins" in page.text


async def test_a_form_without_its_token_changes_nothing(shop: Any) -> None:
    async with browser(shop) as http:
        await log_in(http)
        answer = await http.post(USER_PAGE, data={"display_name": "Mallory", "roles": "staff", "is_active": "on"})

    assert answer.status_code == 403
    assert (await shop.client(ANN).get_me(pb.GetMeRequest())).display_name == "Ann"


async def test_a_role_that_is_given_is_published_and_ends_no_session(shop: Any) -> None:
    pair = await shop.login()
    async with browser(shop) as http:
        await log_in(http)
        await submit(http, USER_PAGE, display_name="Ann", roles=["seller"], is_active="on")

    user = await shop.client(ANN).get_me(pb.GetMeRequest())
    assert (list(user.roles), user.etag) == (["seller"], "2")
    (event,) = await shop.events("agora.accounts.v1.UserUpdated")
    assert list(UserUpdated.FromString(event).roles) == ["seller"]
    assert (await shop.refresh(pair.refresh_token)).access_token


async def test_only_what_staff_have_changed_is_said_to_the_gateway(shop: Any) -> None:
    async with browser(shop) as http:
        outsiders = [
            await http.post("/admin/", follow_redirects=False),
            await http.post(USER_PAGE, data={"display_name": "Mallory"}, follow_redirects=False),
            await submit(http, "/admin/login/?next=/admin/", username="ann@example.com", password=PASSWORD),
        ]
        await log_in(http)
        read = await http.get(USER_PAGE)
        misspelt = await submit(http, USER_PAGE, display_name=" ", is_active="on")
        saved = await submit(http, USER_PAGE, display_name="Annabel", is_active="on")

    assert ["tricorn-changed" in each.headers for each in (*outsiders, read, misspelt)] == [False] * 5
    assert [(each.status_code, "tricorn-changed" in each.headers) for each in saved.history] == [(302, True)]


@pytest.mark.parametrize("fields", [{"roles": [], "is_active": "on"}, {"roles": ["seller"]}])
async def test_who_loses_a_role_or_is_blocked_is_logged_out_everywhere(shop: Any, fields: dict[str, Any]) -> None:
    await shop.app.admin.execute("UPDATE accounts.users SET roles = '{seller}' WHERE user_id = $1", ANN)
    pairs = [await shop.login(), await shop.login()]
    async with browser(shop) as http:
        await log_in(http)
        answer = await submit(http, USER_PAGE, display_name="Ann", **fields)

    assert answer.url.path == "/admin/accounts/user/"
    assert len(await shop.events("tricorn.v1.SessionRevoked")) == 2
    for pair in pairs:
        with pytest.raises(Refusal, match="UNAUTHENTICATED"):
            await shop.refresh(pair.refresh_token)


async def test_staff_end_all_sessions_of_chosen_users(shop: Any) -> None:
    pair = await shop.login()
    async with browser(shop) as http:
        await log_in(http)
        fields = {"action": "end_all_sessions", "_selected_action": [ANN]}
        page = await submit(http, "/admin/accounts/user/", **fields)

    assert "1 sessions ended" in page.text
    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.refresh(pair.refresh_token)


async def test_a_new_password_must_be_sound_and_ends_the_sessions_of_the_old_one(shop: Any) -> None:
    pair = await shop.login("sam@example.com")
    path = "/admin/password_change/"
    async with browser(shop) as http:
        await log_in(http)
        weak = await submit(http, path, old_password=PASSWORD, new_password1="qwertyuiop", new_password2="qwertyuiop")
        new = "a much better passphrase"
        done = await submit(http, path, old_password=PASSWORD, new_password1=new, new_password2=new)

    assert "too common" in weak.text
    assert done.url.path == "/admin/password_change/done/"
    with pytest.raises(Refusal, match="UNAUTHENTICATED"):
        await shop.refresh(pair.refresh_token)
    assert (await shop.login("sam@example.com", new)).access_token


async def test_the_user_page_shows_logins_and_does_without_the_contexts_that_are_not_there(shop: Any) -> None:
    await shop.login(address="203.0.113.5")
    async with browser(shop) as http:
        await log_in(http)
        page = await http.get(USER_PAGE)

    assert page.status_code == 200
    assert "from 203.0.113.5: open" in page.text
    assert page.text.count("not available now") == 2


async def test_static_files_are_served_without_a_build(shop: Any) -> None:
    async with browser(shop) as http:
        page = await http.get("/admin/login/")
        sheet = re.search(r'href="(/static/admin/css/base\.[^"]*css)"', page.text)
        assert sheet is not None
        style = await http.get(sheet.group(1))
        outside = await http.get("/static/%2e%2e/%2e%2e/__init__.py")

    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert outside.status_code == 404


async def test_whoever_sends_a_form_slowly_holds_up_nobody(shop: Any) -> None:
    pages = shop.app.process.mounts["/admin"]
    scope = {"type": "http", "method": "POST", "path": "/admin/login/", "query_string": b"", "headers": []}

    def slowly() -> Any:
        chunks = [{"type": "http.request", "body": b"email=", "more_body": True}]

        async def receive() -> Any:
            return chunks.pop() if chunks else await asyncio.Event().wait()

        return receive

    async def send(message: dict[str, Any]) -> None:
        raise AssertionError(f"nothing can be said yet: {message}")

    slow = [asyncio.create_task(pages(scope, slowly(), send)) for _ in range(8)]
    try:
        await asyncio.sleep(0)  # they begin
        async with asyncio.timeout(10), browser(shop) as http:
            page = await http.get("/admin/login/")
    finally:
        for each in slow:
            each.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    assert page.status_code == 200


async def test_more_than_a_form_is_refused(shop: Any) -> None:
    async with browser(shop) as http:
        answer = await http.post("/admin/login/", content=bytes(2 << 20))

    assert answer.status_code == 413


async def test_many_pages_at_once_share_the_few_connections_of_the_admin(shop: Any) -> None:
    async with browser(shop) as http:
        await log_in(http)
        pages = await asyncio.gather(*(http.get("/admin/accounts/user/") for _ in range(20)))

    assert {page.status_code for page in pages} == {200}
    used = await shop.app.admin.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'agora-admin'"
    )
    assert 1 <= used <= 2


class Promotions(PromotionsServiceBase):
    async def get_customer_standing(
        self,
        request: pricing_pb2.GetCustomerStandingRequest,
        call: Call,
    ) -> pricing_pb2.CustomerStanding:
        return pricing_pb2.CustomerStanding(
            user_id=request.user_id, spent_minor_units=12_345, tier=pricing_pb2.TIER_SILVER
        )


class OneOrder(OrdersServiceBase):
    """The orders of Ann, who has one."""

    async def list_orders(
        self,
        request: orders_pb2.ListOrdersRequest,
        call: Call,
    ) -> orders_pb2.ListOrdersResponse:
        if call.user().user_id != ANN:
            raise Refusal(PlatformReason.INTERNAL, "asked in somebody else's name")
        return orders_pb2.ListOrdersResponse(orders=[orders_pb2.Order()], next_page_token="")


def fake(base: type) -> Any:
    """An instance that leaves the methods nobody calls abstract."""
    return type(base.__name__, (base,), dict.fromkeys(base.__abstractmethods__))()  # type: ignore[attr-defined]


async def test_orders_and_spending_come_from_the_contexts_that_know_them(postgres: EmbeddedPostgres) -> None:
    fakes = [fake(Promotions), fake(OneOrder)]
    async with running(postgres, APPLICATION, ["accounts"], fakes=fakes) as app:
        host = app.host("accounts")
        customers = Customers(host.client(PromotionsServiceClient), host.client(OrdersServiceClient))

        card = await customers.card(ANN)

    assert card == CustomerCard(Standing(12_345, "silver"), Orders(1, more=False))


async def test_a_context_that_fails_leaves_only_its_own_part_out(postgres: EmbeddedPostgres) -> None:
    async with running(postgres, APPLICATION, ["accounts"], fakes=[fake(Promotions)]) as app:
        host = app.host("accounts")
        customers = Customers(host.client(PromotionsServiceClient), host.client(OrdersServiceClient))

        card = await customers.card(ANN)

    assert card == CustomerCard(Standing(12_345, "silver"), None)
