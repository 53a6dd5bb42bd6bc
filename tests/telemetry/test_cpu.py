"""How much CPU one piece of work takes while others run."""

import asyncio
import hashlib
import time

import pytest

from tricorn.host.cpu import CpuPool
from tricorn.telemetry.cpu import CpuMeter, metered


def burn(seconds: float) -> int:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return 7


async def work(seconds: float) -> int:
    burn(seconds)
    await asyncio.sleep(0)
    burn(seconds)
    return 7


async def test_only_the_steps_of_the_work_itself_are_counted() -> None:
    meter = CpuMeter()

    result, _ = await asyncio.gather(metered(work(0.02), meter), work(0.2))

    assert result == 7
    assert 0.04 <= meter.seconds < 0.2


async def test_waiting_costs_nothing() -> None:
    meter = CpuMeter()

    await metered(asyncio.sleep(0.05), meter)

    assert meter.seconds < 0.02


async def test_what_a_pool_computes_for_it_is_counted_too() -> None:
    pool, meter = CpuPool(1), CpuMeter()
    try:
        await metered(pool.run(hashlib.pbkdf2_hmac, "sha256", b"", b"", 1), CpuMeter())  # its process starts
        await metered(pool.run(hashlib.pbkdf2_hmac, "sha256", b"", b"", 300_000), meter)
    finally:
        pool.close()

    assert meter.seconds > 0.02


async def test_an_error_comes_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await metered(fail(), CpuMeter())


async def test_it_can_be_ended() -> None:
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(metered(wait(), CpuMeter()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_time_limit_within_it_holds() -> None:
    async def wait() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "never"

    assert await metered(wait(), CpuMeter()) == "late"
