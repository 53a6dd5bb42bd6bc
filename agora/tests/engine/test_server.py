"""What every native process does: health, reflection, limits, errors, figures, lines."""

import os
import stat
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from engine_process import PRICING, SECONDS, SIGNING, Engine, started
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from agora_proto.payments.v1 import payments_pb2 as pay
from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.contract import PlatformReason, Refusal
from tricorn.v1 import stats_pb2, stats_tricorn  # noqa: F401 - declares the contract
from tricorn.wire.remote import MAX_MESSAGE_BYTES

PRODUCT = pb.PricedProduct(product_id="a", base_minor_units=1000, available=20, demand_basis_points=10_000)
PRODUCTS = pb.PriceProductsRequest(products=[PRODUCT], tier=pb.TIER_BASIC)
STATS = "tricorn.v1.StatsService"
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_it_says_that_every_contract_is_served(engine: Engine) -> None:
    async with engine.channel() as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        states = [
            (await check(health_pb2.HealthCheckRequest(service=name), timeout=SECONDS)).status
            for name in ("", PRICING, SIGNING, STATS)
        ]

    assert states == [health_pb2.HealthCheckResponse.SERVING] * 4


async def test_its_contracts_can_be_looked_up(engine: Engine) -> None:
    async def asked() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        yield reflection_pb2.ServerReflectionRequest(file_containing_symbol=PRICING)

    async with engine.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, file = [answer async for answer in stub.ServerReflectionInfo(asked(), timeout=SECONDS)]

    assert {PRICING, SIGNING, STATS} <= {service.name for service in listed.list_services_response.service}
    assert b"PriceBasket" in file.file_descriptor_response.file_descriptor_proto[0]


async def test_only_its_user_reaches_the_socket(engine: Engine) -> None:
    mode = os.stat(engine.address.removeprefix("unix:")).st_mode  # noqa: PTH116 - a socket, once

    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_it_serves_over_tcp(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path, listen="127.0.0.1:0") as engine:
        answer = await engine.call(f"{PRICING}/PriceProducts", PRODUCTS)

    assert answer == pb.PriceProductsResponse(
        prices=[
            pb.ProductPrice(
                product_id="a",
                base_minor_units=1000,
                final_minor_units=1140,
                discount_basis_points=-1400,
                scarcity_basis_points=12_000,
            )
        ]
    )


@pytest.mark.parametrize("method", [f"{PRICING}/PriceEverything", "agora.catalog.v1.CatalogService/GetProduct", "x"])
async def test_what_it_does_not_host_is_unimplemented(engine: Engine, method: str) -> None:
    with pytest.raises(Refusal) as refused:
        await engine.raw(method, b"")

    assert refused.value.reason == PlatformReason.UNIMPLEMENTED


@pytest.mark.parametrize("sent", [b"\x0a\xff", b"\xff" * 100, b"\x10\x80", b"\x0a\x04\x0a\x02\xc3\x28"])
async def test_bytes_that_are_no_message_are_refused_and_the_next_call_is_answered(engine: Engine, sent: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        await engine.raw(f"{PRICING}/PriceProducts", sent)
    answer = await engine.call(f"{PRICING}/PriceProducts", PRODUCTS)

    assert refused.value.reason == PlatformReason.MALFORMED_REQUEST
    assert answer != pb.PriceProductsResponse()


async def test_a_message_beyond_the_limit_is_refused(engine: Engine) -> None:
    with pytest.raises(Refusal) as refused:
        await engine.raw(f"{SIGNING}/SignTransaction", b"\0" * (MAX_MESSAGE_BYTES + 1))

    assert refused.value.reason == PlatformReason.PAYLOAD_TOO_LARGE


async def test_a_message_of_the_limit_is_looked_at(engine: Engine) -> None:
    overhead = len(pay.SignTransactionRequest(payload=b"x" * 7_000_000).SerializeToString()) - 7_000_000
    request = pay.SignTransactionRequest(payload=b"x" * (MAX_MESSAGE_BYTES - overhead))
    with pytest.raises(Refusal) as refused:
        await engine.raw(f"{SIGNING}/SignTransaction", request.SerializeToString())

    assert [violation.field for violation in refused.value.violations] == ["payload", "previous_hash"]


async def test_calls_are_counted_alike_in_statistics_and_metrics(engine: Engine) -> None:
    for _ in range(3):
        await engine.call(f"{PRICING}/PriceProducts", PRODUCTS)
    with pytest.raises(Refusal):
        await engine.call(f"{PRICING}/PriceProducts", pb.PriceProductsRequest())

    stats = await engine.call(f"{STATS}/GetProcessStats", stats_pb2.GetProcessStatsRequest())
    address = (engine.home / "engine.metrics").read_text().strip()
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=SECONDS) as answer:  # noqa: ASYNC210 - ours
        metrics = answer.read().decode()

    assert isinstance(stats, stats_pb2.ProcessStats)
    assert (stats.process, stats.pid) == ("engine", engine.process.pid)
    (pricing,) = (service for service in stats.services if service.service == PRICING)
    # A refusal of a bad request is no error of the server's.
    assert (pricing.implementation, pricing.calls, pricing.errors) == ("rust", 4, 0)
    assert pricing.mean_milliseconds > 0
    labels = f'service="{PRICING}",method="PriceProducts",implementation="rust"'
    assert f"tricorn_calls_total{{{labels}}} 4\n" in metrics
    assert f"tricorn_call_errors_total{{{labels}}} 0\n" in metrics
    assert f'tricorn_call_seconds_bucket{{{labels},le="+Inf"}} 4\n' in metrics
    assert "process_resident_memory_bytes " in metrics


async def test_lines_are_json_and_name_the_caller_s_trace(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path, environment={"TRICORN_LOG_LEVEL": "debug"}) as engine:
        await engine.call(f"{PRICING}/PriceProducts", PRODUCTS, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
        await engine.call(f"{PRICING}/PriceProducts", PRODUCTS, traceparent="rubbish")
        lines = engine.lines()

    assert all(list(line)[:5] == ["time", "level", "event", "logger", "process"] for line in lines)
    traced, fresh = (line for line in lines if line["event"] == "call answered")
    assert traced["trace_id"] == TRACE != fresh["trace_id"]
    assert traced["span_id"] != "b7ad6b7169203331"
    assert traced["method"] == f"{PRICING}/PriceProducts"


async def test_an_unknown_setting_is_said_and_it_does_not_begin(binary: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="TRICORN_LOG_LEVEL is none of debug, info, warning, error"):
        async with started(binary, tmp_path, environment={"TRICORN_LOG_LEVEL": "loud"}):
            pass


async def test_a_transport_that_is_not_grpc_does_it_no_harm(engine: Engine) -> None:
    async with grpc.aio.insecure_channel(engine.address, options=[("grpc.default_authority", "localhost")]) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            # A stream of messages where one is expected.
            await channel.stream_unary(f"/{PRICING}/PriceProducts", None, None)(iter([b"", b"\xff"]), timeout=SECONDS)
    assert await engine.call(f"{PRICING}/PriceProducts", PRODUCTS)
