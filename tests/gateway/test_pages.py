"""What every gateway shows besides its routes."""

import re
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.usefixtures("toy")


async def test_health_says_what_works(make_gateway: Any, make_client: Any) -> None:
    checks = {"database": True}

    async def ready() -> dict[str, bool]:
        return checks

    async with make_client(make_gateway(ready=ready)) as client:
        good = await client.get("/health/ready")
        checks["database"] = False
        bad = await client.get("/health")
        alive = await client.get("/health/live")

    assert (good.status_code, good.json()) == (200, {"status": "ok", "checks": {"database": True}})
    assert (bad.status_code, bad.json()["checks"]) == (503, {"database": False})
    assert bad.headers["retry-after"] == "1"
    assert alive.status_code == 200


async def test_the_docs_page_loads_nothing_from_elsewhere_and_runs_under_its_own_policy(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/docs")
    script = await client.get("/docs/docs.js")
    style = await client.get("/docs/docs.css")

    assert [each.status_code for each in (page, script, style)] == [200, 200, 200]
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert not re.search(r"https?://", page.text + script.text + style.text)
    assert not re.search(r"<script>|<style|style=|onclick=", page.text)
    assert "innerHTML" not in script.text
    assert script.headers["content-type"].startswith("text/javascript")


async def test_every_problem_type_is_a_page(client: httpx.AsyncClient) -> None:
    missing = (await client.get("/nothing")).json()
    explained = await client.get(missing["type"])
    listed = await client.get("/problems")
    unknown = await client.get("/problems/nobody-knows")

    assert missing["type"] == "/problems/not-found"
    assert "HTTP status 404" in explained.text
    assert "/problems/rate-limited" in listed.text
    assert unknown.status_code == 404


async def test_an_observer_sees_every_request(make_gateway: Any, make_client: Any, issuer: Any) -> None:
    seen: list[Any] = []
    async with make_client(make_gateway(observer=seen.append)) as client:
        await client.get("/v1/books/b1", headers=issuer.bearer("ann"))
        await client.get("/nothing")

    assert [(each.rpc, each.route, each.status, each.code) for each in seen] == [
        ("library.v1.LibraryService/GetBook", "GET /v1/books/{book_id}", 200, ""),
        ("", "", 404, "NOT_FOUND"),
    ]
    assert seen[0].user_id == "ann"
    assert seen[0].seconds > 0
