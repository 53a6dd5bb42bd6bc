"""What a process counts of the implementations it calls, and how it is read over all processes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from probes import ADD, CONTRACT, GET, PUT, Two, messages

from tricorn.contract import PlatformReason, Refusal
from tricorn.prove.figures import read_comparisons
from tricorn.prove.orders import FILE, PARTS, RecordOrder, dump_orders
from tricorn.prove.proving import Proving
from tricorn.prove.recording import Recording
from tricorn.prove.tally import Arm, Tallies, read_tallies
from tricorn.wire import Wire, call_scope
from tricorn.wire.bindings import Binding, Bindings, Shadow


class Ways:
    """What is bound, as a test sets it."""

    def __init__(self, two: Two) -> None:
        self.two = two
        self.bindings = Bindings()

    def to(self, policy: Any, implementation: str) -> Any:
        return self.two.reach(policy, implementation)

    def bind(self, *bindings: Binding) -> None:
        self.bindings = Bindings(max(each.generation for each in bindings), {each.target: each for each in bindings})


class Shop:
    """A process that proves, looked after by the test instead of by its background."""

    def __init__(self, two: Two, home: Path, name: str = "shop") -> None:
        self.two, self.home = two, home
        self.ways = Ways(two)
        self.wire = Wire(two)
        self.fallbacks: dict[tuple[str, str], int] = {}
        self.proving = Proving(home, name, self.wire, self.ways, lambda: self.fallbacks)

    async def bind(self, *bindings: Binding) -> None:
        self.ways.bind(*bindings)
        await self.proving.look()

    async def add(self, *numbers: int) -> Any:
        return await self.wire.call(ADD, messages().AddRequest(numbers=numbers))

    async def written(self) -> Tallies:
        await self.proving.shadow.idle()
        await self.proving.look()
        self.proving.write()
        return read_tallies(self.home, CONTRACT)


@pytest.fixture
async def shop(two: Two, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(two, tmp_path)
    yield shop
    await shop.proving.shadow.close()
    await shop.proving.recorder.close()


async def test_nothing_is_attached_and_nothing_written_while_nothing_is_bound(shop: Shop) -> None:
    await shop.bind(Binding(CONTRACT, generation=3))
    await shop.add(1)

    assert (await shop.written()).arms == {}
    assert shop.wire.taps == []
    assert not (shop.home / "prove").exists()


async def test_calls_are_counted_by_method_implementation_and_generation(shop: Shop) -> None:
    await shop.bind(Binding(CONTRACT, {"rust": 5000}, 3))
    await shop.add(1)
    shop.two.bound = "rust"
    await shop.add(1)
    await shop.bind(Binding(CONTRACT, {"rust": 10_000}, 4))
    await shop.add(1)
    await shop.wire.call(PUT, messages().PutRequest())

    tallies = await shop.written()

    assert {arm: tally.calls for arm, tally in tallies.arms.items()} == {
        Arm(ADD, "python", 3): 1,
        Arm(ADD, "rust", 3): 1,
        Arm(ADD, "rust", 4): 1,
        Arm(PUT, "rust", 4): 1,
    }
    assert tallies.of("rust", method=ADD).latency.total == 2


async def test_copies_of_calls_are_not_counted(shop: Shop) -> None:
    await shop.bind(Binding(CONTRACT, {"rust": 10_000}, 3))
    with call_scope(shadow=True):
        await shop.add(1)

    assert (await shop.written()).of("python").calls == 0


async def test_only_what_tells_of_a_broken_server_is_an_error(shop: Shop) -> None:
    await shop.bind(Binding(CONTRACT, {"rust": 10_000}, 3))
    for reason in (PlatformReason.INTERNAL, PlatformReason.NOT_FOUND, PlatformReason.DEADLINE_EXCEEDED):
        shop.two.reference.change = _refuse(reason)
        with pytest.raises(Refusal):
            await shop.add(1)

    tally = (await shop.written()).of("python")

    assert (tally.calls, tally.errors) == (3, 2)


async def test_a_call_that_fell_back_is_an_error_of_who_should_have_answered(shop: Shop) -> None:
    shop.fallbacks = {(ADD, "rust"): 4}
    await shop.bind(Binding(CONTRACT, {"rust": 10_000}, 3))
    shop.fallbacks = {(ADD, "rust"): 6, (GET, "rust"): 1}

    tallies = await shop.written()

    rust = tallies.of("rust", method=ADD)
    assert (rust.calls, rust.errors, rust.latency.total) == (6, 6, 0)
    assert tallies.of("rust").errors == 7


async def test_processes_are_merged_and_what_makes_no_sense_is_left_out(shop: Shop, two: Two) -> None:
    other = Shop(two, shop.home, "worker")
    for each in (shop, other):
        await each.bind(Binding(CONTRACT, {"rust": 5000}, 3))
        await each.add(1)
        await each.written()
    (shop.home / "prove" / "x.json").write_text("{")
    (shop.home / "prove" / "y.json").write_text(json.dumps({"version": 1, "tallies": [{"method": 1}]}))

    assert read_tallies(shop.home, CONTRACT).of("python").calls == 2
    assert read_tallies(shop.home, ADD).of("python").calls == 2
    assert read_tallies(shop.home, GET).of("python").calls == 0


async def test_a_process_that_starts_again_goes_on_counting(shop: Shop, two: Two) -> None:
    await shop.bind(Binding(CONTRACT, {"rust": 5000}, 3, shadow=Shadow("rust", 10_000)))
    await shop.add(1)
    await shop.written()

    again = Shop(two, shop.home)
    await again.bind(Binding(CONTRACT, {"rust": 5000}, 3, shadow=Shadow("rust", 10_000)))
    await again.add(1)
    tallies = await again.written()

    assert tallies.of("python").calls == 2
    [figures] = read_comparisons(shop.home, CONTRACT).pairings.values()
    assert figures.same == 2


async def test_old_generations_are_forgotten(shop: Shop) -> None:
    for generation in range(1, 40):
        await shop.bind(Binding(CONTRACT, {"rust": 5000}, generation))
        await shop.add(1)

    generations = {arm.generation for arm in (await shop.written()).arms}

    assert max(generations) == 39
    assert len(generations) <= 17


async def test_shadow_begins_when_it_is_bound_goes_on_over_steps_and_ends(shop: Shop) -> None:
    shadow = Shadow("rust", 10_000)
    await shop.bind(Binding(CONTRACT, generation=3, shadow=shadow))
    await shop.add(1)
    await shop.bind(Binding(CONTRACT, {"rust": 2500}, 4, shadow=shadow))
    await shop.add(1)
    await shop.bind(Binding(CONTRACT, {"rust": 2500}, 5))
    await shop.add(1)
    await shop.written()

    [figures] = read_comparisons(shop.home, CONTRACT).pairings.values()
    assert figures.same == 2
    await shop.bind(Binding(CONTRACT, generation=6, shadow=shadow))
    await shop.written()
    assert read_comparisons(shop.home, CONTRACT).pairings == {}  # a new one begins from nothing


async def test_a_recording_begins_and_ends_with_its_order(shop: Shop) -> None:
    order = RecordOrder("r1", CONTRACT, (), 10_000, 2e10, 10**6)
    (shop.home / FILE).parent.mkdir()
    (shop.home / FILE).write_text(dump_orders({"r1": order}))
    await shop.proving.look()
    await shop.add(1)
    (shop.home / FILE).write_text(dump_orders({}))
    await shop.proving.look()
    await shop.add(2)

    recording = Recording.open(next((shop.home / PARTS / "r1").glob("shop-*.rec")))
    assert len(list(recording.calls())) == 1
    assert recording.broken == ""
    assert shop.wire.taps == []


def _refuse(reason: PlatformReason) -> Any:
    def refuse(*_: Any) -> Any:
        raise Refusal(reason, "no")

    return refuse
