"""The gateway's limits, asked by whoever works behind it."""

from typing import Any

import pytest

from tricorn.contract import Refusal
from tricorn.gateway import Rate
from tricorn.gateway.checking import LimitsServer
from tricorn.telemetry import CallStats
from tricorn.v1 import limits_pb2
from tricorn.v1.limits_tricorn import LimitsServiceClient
from tricorn.wire import Endpoints, Service, Wire

RATES = {"read": Rate(3, 3600.0), "write": Rate(1, 1.0)}


def _asked(gateway: Any) -> LimitsServiceClient:
    service = Service(CallStats())
    service.add(LimitsServer(gateway.limiter, gateway.config.rates))
    return LimitsServiceClient(Wire(Endpoints(service)))


async def _check(limits: LimitsServiceClient, caller: str, rate: str = "read") -> limits_pb2.CheckRateLimitResponse:
    return await limits.check_rate_limit(limits_pb2.CheckRateLimitRequest(rate=rate, caller=caller))


async def test_calls_behind_the_gateway_are_counted_with_those_in_front_of_it(
    make_gateway: Any, make_client: Any, issuer: Any
) -> None:
    gateway = make_gateway(rates=RATES)
    limits = _asked(gateway)
    async with make_client(gateway) as client:
        of_ann, of_address = await _check(limits, "u:ann"), await _check(limits, "a:203.0.113.7")
        by_ann = await client.get("/v1/books/b1", headers=issuer.bearer("ann"))
        by_address = await client.get("/v1/books/b1")
        second, refused, other = [await _check(limits, caller) for caller in ("u:ann", "u:ann", "a task of ann's")]

    assert [each.remaining for each in (of_ann, of_address, second, refused, other)] == [2, 2, 0, 0, 2]
    assert [each.headers["ratelimit-remaining"] for each in (by_ann, by_address)] == ["1", "1"]
    assert [each.allowed for each in (of_ann, second, refused, other)] == [True, True, False, True]
    assert (refused.limit, of_ann.retry_after.seconds) == (3, 0)
    assert refused.retry_after.ToSeconds() == pytest.approx(1200, abs=10)
    assert refused.reset_after.ToSeconds() == pytest.approx(3600, abs=10)


async def test_an_address_is_counted_as_its_household_is(make_gateway: Any) -> None:
    limits = _asked(make_gateway(rates=RATES))

    answers = [await _check(limits, f"a:2001:db8::{number}") for number in range(1, 3)]

    assert [each.remaining for each in answers] == [2, 1]


async def test_a_class_that_is_not_declared_is_refused_by_its_field(make_gateway: Any) -> None:
    with pytest.raises(Refusal, match="called sing") as refused:
        await _check(_asked(make_gateway(rates=RATES)), "u:ann", "sing")

    assert refused.value.reason == "INVALID_ARGUMENT"
    assert [each.field for each in refused.value.violations] == ["rate"]
