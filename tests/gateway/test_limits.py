from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.gateway import Rate
from tricorn.gateway.limits import ClientAddresses, MemoryLimits, limit_group

pytestmark = pytest.mark.usefixtures("toy")


def test_a_burst_passes_and_then_one_for_each_interval() -> None:
    now = [0.0]
    limits = MemoryLimits(lambda: now[0], entries=10)
    rate = Rate(limit=10, period=10.0, burst=3)

    first = [limits.take_now("a", rate) for _ in range(4)]
    now[0] += 1.0
    later = [limits.take_now("a", rate).allowed for _ in range(2)]

    assert [each.allowed for each in first] == [True, True, True, False]
    assert [each.remaining for each in first] == [2, 1, 0, 0]
    assert first[3].retry_after == pytest.approx(1.0)
    assert later == [True, False]


def test_callers_and_classes_do_not_share_and_memory_is_bounded() -> None:
    limits = MemoryLimits(lambda: 0.0, entries=2)
    rate = Rate(limit=1, period=10.0)

    assert limits.take_now("a", rate).allowed
    assert limits.take_now("b", rate).allowed
    assert not limits.take_now("b", rate).allowed
    limits.take_now("c", rate)
    assert len(limits._arrivals) == 2


@given(steps=st.lists(st.floats(0, 3), max_size=60), limit=st.integers(1, 20), period=st.floats(0.5, 20))
def test_no_window_lets_more_through_than_burst_and_rate_allow(steps: list[float], limit: int, period: float) -> None:
    now = [0.0]
    limits = MemoryLimits(lambda: now[0], entries=10)
    rate = Rate(limit=limit, period=period)
    passed = []
    for step in steps:
        now[0] += step
        if limits.take_now("a", rate).allowed:
            passed.append(now[0])

    for index, start in enumerate(passed):
        for count, end in enumerate(passed[index:], 1):
            assert count <= limit + (end - start) * limit / period + 1e-6


def test_only_trusted_proxies_may_name_the_client() -> None:
    addresses = ClientAddresses(["10.0.0.0/8"])

    assert addresses.client("198.51.100.1", ["203.0.113.9"]) == "198.51.100.1"
    assert addresses.client("10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.0.0.2"]) == "203.0.113.9"
    assert addresses.client("10.0.0.1", ["nonsense"]) == "10.0.0.1"
    assert addresses.client("10.0.0.1", []) == "10.0.0.1"
    assert ClientAddresses([]).client("127.0.0.1", ["1.1.1.1"]) == "127.0.0.1"


def test_an_ipv6_household_is_one_caller() -> None:
    assert limit_group("2001:db8:1:2:3::4") == limit_group("2001:db8:1:2:ffff::1")
    assert limit_group("2001:db8:1:3::4") != limit_group("2001:db8:1:2::4")
    assert limit_group("::ffff:192.0.2.1") == "192.0.2.1"
    assert limit_group("192.0.2.1") != limit_group("192.0.2.2")


async def test_beyond_the_limit_is_429_with_the_time_to_wait(make_gateway: Any, make_client: Any, backend: Any) -> None:
    async with make_client(make_gateway(rates={"read": Rate(2, 60.0), "write": Rate(1, 1.0)})) as client:
        answers = [await client.get("/v1/books/b1") for _ in range(3)]

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert [each.headers["ratelimit-remaining"] for each in answers] == ["1", "0", "0"]
    assert answers[2].headers["ratelimit-limit"] == "2"
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].json()["code"] == "RATE_LIMITED"
    assert len(backend.requests) == 2


async def test_users_are_limited_each_on_their_own_and_bad_tokens_by_address(
    make_gateway: Any, make_client: Any, issuer: Any
) -> None:
    async with make_client(make_gateway(rates={"read": Rate(1, 60.0), "write": Rate(1, 1.0)})) as client:

        async def get(headers: dict[str, str]) -> int:
            return int((await client.get("/v1/books/b1", headers=headers)).status_code)

        ann, bob, bad = issuer.bearer("ann"), issuer.bearer("bob"), {"authorization": "Bearer x"}
        assert [await get(ann), await get(bob), await get(ann)] == [200, 200, 429]
        assert [await get(bad), await get(bad), await get({})] == [401, 429, 429]


async def test_a_client_cannot_choose_its_address(make_gateway: Any, make_client: Any) -> None:
    async with make_client(make_gateway(rates={"read": Rate(1, 60.0), "write": Rate(1, 1.0)})) as client:
        answers = [
            await client.get("/v1/books/b1", headers={"x-forwarded-for": f"198.51.100.{number}"}) for number in range(2)
        ]

    assert [each.status_code for each in answers] == [200, 429]


async def test_a_rate_that_is_not_declared_is_an_error_at_start(make_gateway: Any) -> None:
    with pytest.raises(ValueError, match="rate class 'write'"):
        make_gateway(rates={"read": Rate(1, 1.0)})


async def test_a_role_that_is_not_declared_is_an_error_at_start(make_gateway: Any) -> None:
    with pytest.raises(ValueError, match="librarian"):
        make_gateway(roles={})


async def test_pages_of_the_gateway_are_not_limited(client: httpx.AsyncClient) -> None:
    assert "ratelimit-limit" not in (await client.get("/health/live")).headers
