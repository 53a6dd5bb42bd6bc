"""The staff's pages at the public port, as a browser uses them: forms, cookies, static files."""

import re
import uuid

import pytest
from browsing import browse, log_in, submit
from shop import Shop

PATIENCE = 15


def test_whoever_is_not_logged_in_is_asked_to(agora: Shop) -> None:
    with browse(agora) as browser:
        page = browser.get("/admin/")

    assert page.url.path == "/admin/login/"
    assert 'type="password"' in page.text


def test_staff_look_a_customer_up_with_orders_that_other_contexts_know(agora: Shop) -> None:
    buyer = agora.buyer()
    me = buyer.http.get("/api/v1/users/me").json()
    order = buyer.order([(buyer.products(pageSize=1)[0]["productId"], 1)]).json()
    buyer.settled(order["orderId"])
    with browse(agora) as browser:
        log_in(browser, "staff")

        found = browser.get("/admin/accounts/user/", params={"q": me["email"]})
        page = browser.get(f"/admin/accounts/user/{me['userId']}/change/")

    assert f"/admin/accounts/user/{me['userId']}/change/" in found.text
    assert "orders: 1" in page.text


def test_every_file_that_a_page_asks_for_is_served(agora: Shop) -> None:
    with browse(agora) as browser:
        page = log_in(browser, "staff")
        links = re.findall(r'(?:href|src)="(/[^"]+)"', page.text)

        answers = {link: browser.get(link).status_code for link in links}

    assert sum("/static/" in link for link in links) >= 5
    assert set(answers.values()) == {200}, answers


def test_a_role_that_staff_give_opens_what_it_is_for(agora: Shop) -> None:
    buyer = agora.buyer()
    me = buyer.http.get("/api/v1/users/me").json()
    path = f"/admin/accounts/user/{me['userId']}/change/"
    with browse(agora) as browser:
        log_in(browser, "staff")
        saved = submit(browser, path, display_name=me["displayName"], roles=["seller"], is_active="on")

    assert saved.url.path == "/admin/accounts/user/"
    again = buyer.http.post("/api/v1/auth/refresh", json={"refreshToken": buyer.tokens["refreshToken"]}).json()
    buyer.http.headers["Authorization"] = f"Bearer {again['accessToken']}"
    assert buyer.http.get("/api/v1/users/me").json()["roles"] == ["seller"]
    unknown = buyer.http.delete(f"/api/v1/products/{uuid.uuid4()}")
    assert unknown.status_code == 404, unknown.text


def test_whoever_staff_block_is_out_at_once(agora: Shop) -> None:
    buyer = agora.buyer()
    me = buyer.http.get("/api/v1/users/me").json()
    with browse(agora) as browser:
        log_in(browser, "staff")
        submit(browser, f"/admin/accounts/user/{me['userId']}/change/", display_name=me["displayName"])

    agora.wait_until(lambda: buyer.http.get("/api/v1/users/me").status_code == 401, PATIENCE)


@pytest.mark.parametrize("name", ["buyer", "seller"])
def test_only_staff_get_in(agora: Shop, name: str) -> None:
    with browse(agora) as browser:
        answer = log_in(browser, name)
        page = browser.get("/admin/accounts/user/")

    assert "Please enter the correct" in answer.text
    assert page.url.path == "/admin/login/"


def test_a_form_from_elsewhere_changes_nothing(agora: Shop) -> None:
    buyer = agora.buyer()
    me = buyer.http.get("/api/v1/users/me").json()
    path = f"/admin/accounts/user/{me['userId']}/change/"
    with browse(agora) as browser:
        log_in(browser, "staff")
        forged = browser.post(path, data={"display_name": "Forged", "roles": "staff", "is_active": "on"})
        elsewhere = browser.post(
            path,
            data={"display_name": "Forged", "csrfmiddlewaretoken": browser.cookies["agora_admin_csrf"]},
            headers={"Origin": "https://elsewhere.example"},
        )

    assert (forged.status_code, elsewhere.status_code) == (403, 403)
    assert buyer.http.get("/api/v1/users/me").json() == me


def test_an_access_token_is_no_way_into_the_admin_and_a_cookie_none_into_the_api(agora: Shop) -> None:
    staff = agora.demo("staff")
    with browse(agora) as browser:
        log_in(browser, "staff")
        by_cookie = browser.get("/api/v1/users/me")

    by_token = staff.http.get("/admin/")

    assert by_cookie.status_code == 401
    assert (by_token.status_code, by_token.headers["location"]) == (302, "/admin/login/?next=/admin/")
