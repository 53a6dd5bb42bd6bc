"""Which implementation gets a call: by contract or method, by entity or by lot, at its start."""

import asyncio
from pathlib import Path

import pytest
from metering import SERVICE
from sides import Served, calling

from tricorn.contract import method_policy
from tricorn.telemetry import CallStats
from tricorn.wire import Binding, Bindings, Endpoints, Service, bucket
from tricorn.wire.bindings import AT_GATEWAY
from tricorn.wire.endpoints import STATS
from tricorn.wire.split import why_whole


async def test_python_answers_what_is_not_bound(native: Served) -> None:
    async with calling(native.address) as side:
        assert await side.ask("Read") == "python"


async def test_a_binding_of_a_method_holds_instead_of_its_contracts(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}), Binding(f"{SERVICE}/Count", {}))

        assert [await side.ask("Read"), await side.ask("Count")] == ["rust", "python"]
        side.bind(Binding(f"{SERVICE}/Count", {"rust": 10_000}))
        assert [await side.ask("Read"), await side.ask("Count")] == ["python", "rust"]


async def test_an_entity_goes_where_its_bucket_says(native: Served) -> None:
    keys = [f"meter-{number}" for number in range(40)]
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 5000}))

        found = {key: await side.ask("Look", place={"meter_id": key}) for key in keys}

    assert found == {key: "rust" if bucket(SERVICE, key) < 5000 else "python" for key in keys}
    assert set(found.values()) == {"rust", "python"}


async def test_calls_of_a_pure_method_are_divided_by_lot(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 5000}))

        found = [await side.ask("Read") for _ in range(100)]

    # Fewer than 10 of either would be a lot of less than one in 10^16.
    assert 10 < found.count("rust") < 90


@pytest.mark.parametrize("method", ["Count", "Add", "Reset"])
async def test_what_must_not_be_divided_stays_with_python_until_all_of_it_is_bound(method: str, native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 9999}))
        assert {await side.ask(method) for _ in range(10)} == {"python"}

        side.bind(Binding(SERVICE, {"rust": 10_000}))
        assert await side.ask(method) == "rust"


@pytest.mark.parametrize(
    ("method", "shared", "why"),
    [
        ("Read", False, ""),
        ("Look", False, ""),
        ("Watch", False, ""),
        ("Add", True, ""),
        ("Count", True, "no split key"),
        ("Seal", True, ""),
        ("Add", False, "share no rows"),
        ("Seal", False, "share no rows"),
        ("Turn", True, "twice is once"),
        ("Reset", True, "no split key"),
    ],
)
def test_what_may_be_divided(generated: Path, method: str, shared: bool, why: str) -> None:
    found = why_whole(method_policy(f"{SERVICE}/{method}"), shared=shared)

    assert bool(found) == bool(why)
    assert why in found


async def test_a_stream_is_bound_at_its_start(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}))
        readings = side.wire.stream(f"{SERVICE}/Watch", side.pb.WatchRequest(readings=3))
        first = await anext(readings)

        side.bind(Binding(SERVICE, {}))

        rest = [reading async for reading in readings]
        assert {reading.answered_by for reading in (first, *rest)} == {"rust"}
        assert len(rest) == 2


async def test_a_call_in_flight_ends_where_it_began(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}))
        waiting = asyncio.create_task(side.ask("Add", what="wait"))
        await native.hears("Add wait")

        side.bind(Binding(SERVICE, {}))

        assert await side.ask("Read") == "python"
        assert side.python.asked == ["Read"]
        waiting.cancel()


async def test_what_is_bound_to_something_that_has_no_address_is_answered_by_python(generated: Path) -> None:
    async with calling() as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}))

        assert [await side.ask("Read"), await side.ask("Add")] == ["python", "python"]
        assert side.endpoints.placeless == [f"{SERVICE} to rust"]
        assert not side.stats.fallbacks()


async def test_what_the_gateway_answers_by_itself_is_answered_here_as_before_and_no_trouble(generated: Path) -> None:
    async with calling() as side:
        side.bind(
            Binding("gateway", {"go": 10_000}),
            Binding(f"{SERVICE}/Read", {"go": 10_000}, record={"gateway": True}),
        )

        assert await side.ask("Read") == "python"
        assert side.endpoints.placeless == []


async def test_calls_are_counted_by_who_answered(native: Served) -> None:
    async with calling(native.address) as side:
        side.bind(Binding(SERVICE, {"rust": 10_000}))

        await side.ask("Read")
        await side.ask("Look")

        (figures,) = side.stats.snapshot()
        assert (figures.service, figures.implementation, figures.calls) == (SERVICE, "rust", 2)


async def test_no_call_fails_while_bindings_change(native: Served) -> None:
    async with calling(native.address) as side:

        async def change_and_ask(number: int) -> str:
            side.bind(Binding(SERVICE, {"rust": (10_000, 0, 5000)[number % 3]}))
            return await side.ask("Read")

        found = await asyncio.gather(*(change_and_ask(number) for number in range(200)))

    assert set(found) == {"python", "rust"}
    assert not side.stats.fallbacks()


async def test_a_method_that_a_native_gateway_answers_is_reached_at_its_own_address() -> None:
    read, count = method_policy(f"{SERVICE}/Read"), method_policy(f"{SERVICE}/Count")
    endpoints = Endpoints(
        Service(CallStats()), {SERVICE: {"python": ["unix:/p"], "go": ["unix:/g"]}, STATS: {"go": ["unix:/edge"]}}
    )
    bound = Binding(read.full_name, {"go": 10_000}, record={AT_GATEWAY: True})
    endpoints.update(bindings=Bindings(1, {bound.target: bound}))

    reached = [endpoints.to(policy, name).target for policy in (read, count) for name in ("go", "python")]

    assert reached == ["unix:/edge", "unix:/p", "unix:/g", "unix:/p"]
    await endpoints.close()


@pytest.mark.parametrize(
    ("shares", "reached"),
    [({}, ["unix:/g", "unix:/r", "unix:/edge", "unix:/r"]), ({"go": 1}, ["unix:/edge", "unix:/r"] * 2)],
)
async def test_who_does_not_answer_at_the_gateway_now_is_reached_where_the_contract_is_else_at_the_gateway(
    generated: Path, shares: dict[str, int], reached: list[str]
) -> None:
    read = method_policy(f"{SERVICE}/Read")
    bound = Binding(read.full_name, shares, record={AT_GATEWAY: True})
    edge, rust = {"go": ["unix:/edge"]}, {"rust": ["unix:/r"]}

    found = []
    for contract in ({"go": ["unix:/g"], **rust}, rust):
        endpoints = Endpoints(
            Service(CallStats()), {SERVICE: contract, STATS: edge}, bindings=Bindings(1, {bound.target: bound})
        )
        found += [endpoints.to(read, name).target for name in ("go", "rust")]
        await endpoints.close()

    assert found == reached
