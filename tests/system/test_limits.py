"""Rate limits at the public port: told in headers, refused with the time to wait, counted for each user or address."""

from collections.abc import Iterator

import httpx
import pytest
from refusals import refused
from shop import Shop

PATIENCE = 30


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A fiftieth of the usual limits: 12 reads at once, then 2 a second."""
    shop = Shop(
        tmp_path_factory.mktemp("narrow") / "home", "--no-demo-data", environment={"TRICORN_RATE_FACTOR": "0.02"}
    )
    yield shop.up()
    shop.down()


def _read_until_refused(client: httpx.Client) -> tuple[httpx.Response, httpx.Response]:
    """The last answer and the first refusal."""
    last = client.get("/api/v1/categories")
    for _ in range(1000):
        answer = client.get("/api/v1/categories")
        if answer.status_code != 200:
            return last, answer
        last = answer
    raise AssertionError("never refused")


def test_too_many_requests_are_told_when_to_come_back(narrow: Shop) -> None:
    visitor = narrow.visitor()

    last, refusal = _read_until_refused(visitor.http)

    assert int(last.headers["ratelimit-limit"]) == 120
    assert int(last.headers["ratelimit-remaining"]) == 0
    assert int(last.headers["ratelimit-reset"]) > 0
    refused(refusal, 429, "RATE_LIMITED")
    assert int(refusal.headers["retry-after"]) >= 1
    assert int(refusal.headers["ratelimit-remaining"]) == 0
    narrow.wait_until(lambda: visitor.http.get("/api/v1/categories").status_code == 200, PATIENCE)


def test_a_client_cannot_choose_its_address(narrow: Shop) -> None:
    visitor = narrow.visitor()
    _read_until_refused(visitor.http)

    answers = [
        visitor.http.get("/api/v1/categories", headers={"X-Forwarded-For": f"192.0.2.{number}"}).status_code
        for number in range(20)
    ]

    assert 429 in answers


def test_a_user_has_a_limit_of_their_own(narrow: Shop) -> None:
    visitor = narrow.visitor()
    someone = {"email": "own@example.com", "password": "a long enough password", "displayName": "Own"}
    narrow.wait_until(lambda: visitor.http.post("/api/v1/auth/register", json=someone).status_code == 201, 2 * PATIENCE)
    narrow.wait_until(lambda: _logs_in(visitor.http, someone), 3 * PATIENCE)

    _read_until_refused(narrow.visitor().http)

    mine = visitor.http.get("/api/v1/categories")
    assert (mine.status_code, mine.headers["ratelimit-remaining"]) == (200, "11")


def _logs_in(client: httpx.Client, someone: dict[str, str]) -> bool:
    answer = client.post("/api/v1/auth/login", json={"email": someone["email"], "password": someone["password"]})
    if answer.status_code == 200:
        client.headers["Authorization"] = f"Bearer {answer.json()['accessToken']}"
    return answer.status_code == 200


def test_health_is_never_limited(narrow: Shop) -> None:
    visitor = narrow.visitor()

    answers = {visitor.http.get("/health/live").status_code for _ in range(50)}

    assert answers == {200}
