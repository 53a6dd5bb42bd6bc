"""What shadow compares, what it leaves out, and what it never does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any

import pytest
from probes import ADD, GET, PUT, SNEAK, Two, messages

from tricorn.contract import MethodPolicy, PlatformReason, Refusal
from tricorn.prove.figures import Comparisons, Figures, Pairing
from tricorn.prove.shadow import Shadow, ShadowOrder
from tricorn.prove.tally import Tallies
from tricorn.wire import Identity, Wire, call_scope

USER = Identity("0190b6c0-0000-7000-8000-000000000000", "", frozenset({"staff"}))


class Bench:
    """A wire with shadow on it."""

    def __init__(self, two: Two, **options: Any) -> None:
        self.two = two
        self.order = ShadowOrder("rust", 10_000, 7)
        self.tallies = Tallies()
        self.shadow = Shadow(lambda _: self.order, two.reach, Comparisons(), self.tallies, rest=0, **options)
        self.wire = Wire(two)
        self.wire.taps.append(self.shadow)

    async def add(self, *numbers: int) -> Any:
        return await self.wire.call(ADD, messages().AddRequest(numbers=numbers))

    async def get(self, name: str) -> Any:
        with call_scope(identity=USER):
            return await self.wire.call(GET, messages().GetRequest(name=name))

    async def figures(self, method: str = ADD) -> Figures:
        async with asyncio.timeout(20):
            await self.shadow.idle()
        return self.shadow.found.of(Pairing(method, "rust"))


@pytest.fixture
async def bench(two: Two) -> AsyncIterator[Bench]:
    bench = Bench(two)
    yield bench
    await bench.shadow.close()


async def test_answers_that_the_contract_calls_the_same_are_the_same(bench: Bench) -> None:
    bench.two.candidate.asked = 1000  # so that `taken_nanos` differs, which is not compared

    await bench.add(1, 2, 3)

    figures = await bench.figures()
    assert (figures.same, figures.different, figures.incomparable) == (1, 0, {})
    assert figures.reference.total == figures.candidate.total == 1


async def test_a_difference_is_counted_by_field_and_kept_as_an_example(bench: Bench) -> None:
    def wrong(request: Any, answer: Any) -> Any:
        answer.steps[2].so_far += 1
        return answer

    bench.two.candidate.change = wrong

    await bench.add(1, 2, 3)

    figures = await bench.figures()
    assert (figures.same, figures.different) == (0, 1)
    assert figures.fields == {"steps[].so_far": 1}
    assert figures.examples[0]["request"] == '{"numbers": ["1", "2", "3"]}'
    assert figures.examples[0]["differences"] == [{"path": "steps[2].so_far", "expected": "6", "actual": "7"}]


async def test_another_error_is_a_difference(bench: Bench) -> None:
    bench.two.reference.change = _refuse(PlatformReason.NOT_FOUND)
    bench.two.candidate.change = _refuse(PlatformReason.INVALID_ARGUMENT)

    with pytest.raises(Refusal, match="NOT_FOUND"):
        await bench.add(1)

    assert (await bench.figures()).fields == {"error.code": 1, "error.reason": 1}


async def test_the_same_error_in_other_words_is_the_same(bench: Bench) -> None:
    bench.two.reference.change = _refuse(PlatformReason.NOT_FOUND, "it is not there")
    bench.two.candidate.change = _refuse(PlatformReason.NOT_FOUND, "no such thing")

    with pytest.raises(Refusal):
        await bench.add(1)

    assert (await bench.figures()).same == 1


async def test_the_copy_is_made_before_the_reference_runs(bench: Bench) -> None:
    def overwrite(request: Any, answer: Any) -> Any:
        sent.numbers[:] = [99]
        return answer

    sent = messages().AddRequest(numbers=[1, 2])
    bench.two.reference.change = overwrite

    await bench.wire.call(ADD, sent)

    assert (await bench.figures()).same == 1


async def test_what_the_caller_does_to_its_answer_is_no_difference(bench: Bench) -> None:
    answer = await bench.add(1, 2)
    answer.sum = 0

    assert (await bench.figures()).same == 1


async def test_a_read_whose_state_moved_says_nothing(bench: Bench) -> None:
    bench.two.reference.values["x"] = "old"
    bench.two.candidate.values["x"] = "new"

    await bench.get("x")
    bench.two.reference.values["x"] = "new"

    figures = await bench.figures(GET)
    assert (figures.different, figures.incomparable) == (0, {"state moved": 1})


async def test_a_read_whose_state_stands_is_compared(bench: Bench) -> None:
    bench.two.reference.values["x"] = "old"
    bench.two.candidate.values["x"] = "new"

    await bench.get("x")

    assert (await bench.figures(GET)).fields == {"value": 1}


async def test_a_pure_reference_that_contradicts_itself_is_told_apart(bench: Bench) -> None:
    def by_turns(request: Any, answer: Any) -> Any:
        answer.sum += bench.two.reference.asked
        return answer

    bench.two.reference.change = by_turns

    await bench.add(1)

    figures = await bench.figures()
    assert figures.incomparable == {"reference contradicts itself": 1}
    assert (figures.asked_twice, figures.unsteady) == (1, 1)


async def test_secrets_are_in_no_example(bench: Bench) -> None:
    def other_token(request: Any, answer: Any) -> Any:
        answer.token = "another"
        return answer

    bench.two.candidate.change = other_token

    await bench.get("x")

    figures = await bench.figures(GET)
    assert figures.fields == {"token": 1}
    assert "s3cret" not in str(figures.to_json())
    assert "another" not in str(figures.to_json())


async def test_a_slow_candidate_costs_the_caller_nothing_and_is_not_comparable(two: Two) -> None:
    bench = Bench(two)
    two.candidate.delay = 60

    async with asyncio.timeout(0.9):  # the copy's own deadline is 1 s
        await bench.add(1)

    assert (await bench.figures()).incomparable == {"candidate timed out": 1}


async def test_a_candidate_that_is_not_there_is_not_comparable(bench: Bench) -> None:
    bench.two.candidate.change = _refuse(PlatformReason.UNAVAILABLE)

    await bench.add(1)

    figures = await bench.figures()
    assert (figures.compared, figures.incomparable) == (0, {"candidate unavailable": 1})


async def test_a_reference_that_is_not_there_is_no_fault_of_the_candidate(bench: Bench) -> None:
    bench.two.reference.change = _refuse(PlatformReason.UNAVAILABLE)

    with pytest.raises(Refusal):
        await bench.add(1)

    assert (await bench.figures()).incomparable["reference unavailable"] >= 1


async def test_what_comes_faster_than_it_can_be_compared_is_dropped_and_counted(two: Two) -> None:
    bench = Bench(two, queue=3, concurrency=1)
    opened = asyncio.Event()
    answer = two.candidate.add

    async def wait_then_answer(request: Any) -> Any:
        await opened.wait()
        return await answer(request)

    two.candidate.add = wait_then_answer  # type: ignore[method-assign]

    for number in range(10):
        await bench.add(number)
        await asyncio.sleep(0)  # the first pair leaves the queue
    opened.set()

    figures = await bench.figures()
    assert (figures.same, figures.dropped) == (4, 6)


async def test_no_more_copies_are_asked_at_once_than_allowed(two: Two) -> None:
    bench = Bench(two, concurrency=2)
    now = most = 0
    answer = two.candidate.add

    async def count(request: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return await answer(request)

    two.candidate.add = count  # type: ignore[method-assign]

    await asyncio.gather(*(bench.add(number) for number in range(20)))

    assert (await bench.figures()).same == 20
    assert most == 2


async def test_methods_with_effects_are_never_shadowed(bench: Bench) -> None:
    await bench.wire.call(PUT, messages().PutRequest(name="x"))

    await bench.shadow.idle()
    assert bench.two.candidate.put == []
    assert bench.shadow.found.pairings == {}


async def test_copies_are_not_copied_again(bench: Bench) -> None:
    with call_scope(shadow=True):
        await bench.add(1)

    await bench.shadow.idle()
    assert bench.shadow.found.pairings == {}


async def test_an_effect_below_a_shadowed_call_is_refused(bench: Bench) -> None:
    await bench.wire.call(SNEAK, messages().GetRequest(name="x"))

    figures = await bench.figures(SNEAK)
    assert bench.two.candidate.put == []
    assert figures.incomparable == {"candidate leads to an effect": 1}


async def test_calls_that_the_candidate_answers_are_compared_the_other_way_round(bench: Bench) -> None:
    bench.two.bound = "rust"
    bench.two.candidate.change = lambda *_: messages().AddResponse(sum=7)

    answer = await bench.add(1)

    figures = await bench.figures()
    assert answer.sum == 7
    assert (figures.reversed, figures.different) == (1, 1)
    assert {"path": "sum", "expected": "1", "actual": "7"} in figures.examples[0]["differences"]
    assert bench.two.reference.asked == 2  # asked again, to be sure that it says the same


async def test_differences_are_tallied_under_the_generation_that_decided_the_call(bench: Bench) -> None:
    bench.two.candidate.change = lambda *_: messages().AddResponse(sum=7)

    await bench.add(1)
    await bench.figures()
    bench.order = ShadowOrder("rust", 10_000, 8)
    bench.two.candidate.change = lambda _, answer: answer
    await bench.add(1)

    await bench.figures()
    of = bench.tallies.of
    assert (of("rust", until=7).compared, of("rust", until=7).different) == (1, 1)
    assert (of("rust", since=8).compared, of("rust", since=8).different) == (1, 0)


async def test_only_the_sample_is_compared(two: Two) -> None:
    lots = iter([0.04, 0.06, 0.0499, 0.9])
    bench = Bench(two, dice=lambda: next(lots))
    bench.order = ShadowOrder("rust", 500, 7)

    for _ in range(4):
        await bench.add(1)

    assert (await bench.figures()).same == 2


async def test_the_cpu_of_the_reference_is_counted_besides_what_callers_wait_for(bench: Bench) -> None:
    for _ in range(40):
        await bench.add(1)

    figures = await bench.figures()
    assert figures.reference_cpu.calls == 2
    assert 0 < figures.reference_cpu.seconds < 1
    assert (figures.path.total, figures.asked_twice, figures.unsteady) == (40, 2, 0)


async def test_a_candidate_that_is_wrong_one_time_in_ten_thousand_is_caught(two: Two) -> None:
    def wrong_now_and_then(request: Any, answer: Any) -> Any:
        digest = sha256(request.SerializeToString()).digest()
        if int.from_bytes(digest[:8], "big") % 10_000 == 0:
            answer.sum += 1
        return answer

    two.candidate.change = wrong_now_and_then
    bench = Bench(two, queue=100_000)

    for number in range(20_000):
        await bench.add(number)

    figures = await bench.figures()
    assert figures.different == 2
    assert figures.compared == 20_000
    assert {each["differences"][0]["path"] for each in figures.examples} == {"sum"}


def _refuse(reason: PlatformReason, words: str = "no") -> Callable[[Any, Any], Any]:
    def refuse(request: Any, answer: Any) -> Any:
        raise Refusal(reason, words)

    return refuse


def test_the_policies_are_what_these_tests_take_them_for(two: Two) -> None:
    from tricorn.contract import method_policy  # noqa: PLC0415

    policies: dict[str, MethodPolicy] = {name: method_policy(name) for name in (ADD, GET, PUT, SNEAK)}
    assert {name: policy.safe for name, policy in policies.items()} == {ADD: True, GET: True, PUT: False, SNEAK: True}
