"""How it begins and ends."""

import asyncio
import contextlib
import signal
import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from engine_process import PRICING, SECONDS, Engine, started
from slow_basket import slow_basket

from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.contract import Refusal

BASKET = f"{PRICING}/PriceBasket"


def socket_of(engine: Engine) -> Path:
    return Path(engine.address.removeprefix("unix:"))


async def test_a_term_lets_calls_in_flight_end(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path, environment={"TRICORN_LOG_LEVEL": "debug"}) as engine:
        call = asyncio.create_task(engine.call(BASKET, slow_basket(budget=5_000_000)))
        await engine.logged("call begun")

        engine.process.send_signal(signal.SIGTERM)

        answer = await call
        status = await engine.ended()
        events = engine.events()
    assert isinstance(answer, pb.PriceBasketResponse)
    assert answer.total_minor_units > 0
    assert status == 0
    assert events.index("stopping") < events.index("call answered") < events.index("stopped")


async def test_calls_that_do_not_end_within_the_limit_are_cut_off(binary: Path, tmp_path: Path) -> None:
    environment = {"TRICORN_LOG_LEVEL": "debug", "TRICORN_SHUTDOWN_SECONDS": "0.01"}
    async with started(binary, tmp_path, environment=environment) as engine:
        call = asyncio.create_task(engine.call(BASKET, slow_basket()))
        await engine.logged("call begun")

        engine.process.send_signal(signal.SIGTERM)

        status = await engine.ended()
        with pytest.raises((grpc.aio.AioRpcError, Refusal)):
            await call
        events = engine.events()
    assert status == 0
    assert "calls in flight were cut off" in events


async def test_the_supervisor_s_end_is_its_own(engine: Engine) -> None:
    engine.let_go()

    assert await engine.ended() == 0
    assert "the supervisor is gone" in engine.events()
    assert not socket_of(engine).exists()


def test_without_a_word_from_the_supervisor_it_does_not_begin(binary: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [binary, "--listen", f"unix:{tmp_path}/s", "--home", tmp_path, "--metrics", "off", "--life-fd", "0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 1
    assert "the supervisor is gone" in done.stderr
    assert not (tmp_path / "s").exists()


async def test_a_living_server_s_socket_is_not_taken_over(engine: Engine, binary: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is served by another process"):
        async with started(binary, tmp_path, listen=engine.address):
            pass

    assert await engine.call(f"{PRICING}/PriceProducts", pb.PriceProductsRequest(tier=pb.TIER_GOLD)) is not None


async def test_a_dead_server_s_socket_is_taken_over(binary: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))

    async with started(binary, tmp_path, listen=f"unix:{path}") as engine:
        answer = await engine.call(f"{PRICING}/PriceProducts", pb.PriceProductsRequest(tier=pb.TIER_GOLD))

    assert answer == pb.PriceProductsResponse()


async def test_a_call_does_not_outlive_its_caller_s_time(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path, environment={"TRICORN_LOG_LEVEL": "debug"}) as engine:
        # More than there are workers: if the work did not end, nobody would be served after it.
        calls = [engine.call(BASKET, slow_basket(), seconds=0.1) for _ in range(16)]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        answer = await engine.call(BASKET, slow_basket(budget=1))

    assert all(isinstance(outcome, (grpc.aio.AioRpcError, Refusal)) for outcome in outcomes)
    assert isinstance(answer, pb.PriceBasketResponse)
    assert not answer.exact


async def test_work_ends_when_its_caller_goes_away(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path, environment={"TRICORN_LOG_LEVEL": "debug"}) as engine:
        call = asyncio.create_task(engine.call(BASKET, slow_basket()))
        await engine.logged("call begun")

        call.cancel()

        await engine.logged("call ended without its caller")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ([], "--listen is missing"),
        (["--listen", "unix:"], "unix: needs a path"),
        (["--listen", "unix:/tmp/x", "--home"], "--home needs a value"),
        (["--loud"], "--loud is none of its options"),
    ],
)
def test_a_wrong_command_line_is_said(binary: Path, words: list[str], wrong: str) -> None:
    done = subprocess.run([binary, *words], capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 2
    assert wrong in done.stderr
    assert "--life-fd" in done.stderr
