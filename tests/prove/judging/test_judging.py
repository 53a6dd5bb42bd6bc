"""What the judge finds in candidates that are right, wrong, slow, gone, or of another contract."""

import asyncio
import json
import shlex
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tricorn.contract import PlatformReason, Refusal
from tricorn.host import Manifest
from tricorn.host.targets import Target
from tricorn.prove.cache import AnswerCache
from tricorn.prove.candidate import Candidate, CandidateError
from tricorn.prove.findings import Findings
from tricorn.prove.gathering import inputs_of
from tricorn.prove.inputs.mix import GENERATED, Input
from tricorn.prove.judge import Judge
from tricorn.prove.plan import Plan
from tricorn.prove.reference import Reference, Request, Site
from tricorn.prove.statement import closing, details, mismatch_lines, parse_request
from tricorn.telemetry import CallStats
from tricorn.wire import GrpcServer, Service

SUMS = "quiz.sums.v1.SumsService"
Change = Callable[[Any, Any], Any]
"""Gets a request and the right answer; gives another, or raises."""


@asynccontextmanager
async def candidate_that(quiz: Manifest, folder: Path, change: Change | None = None) -> AsyncIterator[str]:
    """The address of a candidate that is the reference but for a change of its answers."""
    from quiz.sums.server import SumsServer  # type: ignore[import-not-found]  # noqa: PLC0415 - importable with `quiz`

    class Changed(SumsServer):  # type: ignore[misc]
        async def add(self, request: Any, call: Any) -> Any:
            answer = await super().add(request, call)
            made = change(request, answer) if change else answer
            return await made if asyncio.iscoroutine(made) else made

    service = Service(CallStats())
    service.add(Changed())
    server = GrpcServer(service, f"unix:{folder}/s")
    await server.start()
    try:
        yield f"unix:{folder}/s"
    finally:
        await server.stop(0)


@asynccontextmanager
async def judged(plan: Plan, folder: Path, change: Change | None = None) -> AsyncIterator[Judge]:
    async with candidate_that(plan.manifest, folder, change) as address, judge_of(plan, folder, address) as judge:
        yield judge


@asynccontextmanager
async def judge_of(plan: Plan, folder: Path, address: str) -> AsyncIterator[Judge]:
    with AnswerCache(folder / "cache", "x") as cache:
        async with Candidate(address) as candidate, Reference(Site(plan.manifest.root, SUMS, folder), 0) as reference:
            yield Judge(plan.policies, reference, candidate, cache)


@pytest.fixture
def plan(quiz: Manifest, tmp_path: Path) -> Plan:
    return Plan(quiz, Target(SUMS, "Add"), "rust", tmp_path, inputs=400)


async def findings(plan: Plan, folder: Path, change: Change | None = None) -> Findings:
    async with judged(plan, folder, change) as judge:
        return await judge.judge(inputs_of(plan).each)


def small(plan: Plan, count: int) -> Iterator[Input]:
    """So many small requests, all different."""
    kind = plan.policies[0].input
    for number in range(count):
        message = kind(values=[number % 1000, number // 1000], divisor=1, rounding=1)
        yield Input(GENERATED, "small", Request(plan.policies[0].full_name, message.SerializeToString()))


def wrong_for_one_in(share: int) -> Change:
    def change(request: Any, answer: Any) -> Any:
        if zlib.crc32(request.SerializeToString(deterministic=True)) % share == 0:
            answer.sum += 1
        return answer

    return change


async def test_a_candidate_that_is_right_is_found_the_same(plan: Plan, tmp_path: Path) -> None:
    found = await findings(plan, tmp_path)

    assert found.total_different == 0
    assert found.asked == 400
    assert found.not_comparable.total() == 0
    assert found.reasons["INVALID_ARGUMENT"] > 10
    assert closing(found, None).startswith(
        "0 of 400 generated inputs differ; with 95% confidence (one-sided Clopper-Pearson) fewer than 0.75 % of such "
        "inputs do; fields never set: none; enum values never seen: "
    )
    assert found.ignored_share > 0.1  # the stamp is most of a small answer
    assert found.asked_twice == 4
    assert found.unsteady == []


@pytest.mark.parametrize(("share", "count"), [(300, 2_000)])
async def test_one_that_is_wrong_for_a_few_requests_is_caught(
    plan: Plan, tmp_path: Path, share: int, count: int
) -> None:
    async with judged(plan, tmp_path, wrong_for_one_in(share)) as judge:
        found = await judge.judge(small(plan, count))

    assert 0 < found.total_different < 3 * count / share
    assert {mismatch.differences[0].path for mismatch in found.mismatches} == {"sum"}


@pytest.mark.full
async def test_one_that_is_wrong_one_time_in_ten_thousand_is_caught_by_a_hundred_thousand(
    plan: Plan, tmp_path: Path
) -> None:
    async with judged(plan, tmp_path, wrong_for_one_in(10_000)) as judge:
        found = await judge.judge(small(plan, 100_000))

    assert found.asked == 100_000
    assert found.compared[GENERATED] > 99_900  # here reference, candidate and judge share one process and its CPU
    assert 0 < found.total_different < 40


async def test_a_difference_is_shrunk_to_a_line_that_shows_it_again(plan: Plan, tmp_path: Path) -> None:
    def wrong_for_large_sums(request: Any, answer: Any) -> Any:
        if answer.sum > 500:
            answer.quotient += 1
        return answer

    async with judged(plan, tmp_path, wrong_for_large_sums) as judge:
        found = await judge.judge(inputs_of(plan).each)
        smallest = await judge.smaller(judge.first_of_each_shape()[0])
        said = list(mismatch_lines(smallest, plan.policies[0]))
        words = shlex.split(said[1])
        again = await judge.ask(Input(GENERATED, "again", parse_request(plan.policies[0], words[-1])))

    assert found.total_different > 5
    assert "quotient: expected" in said[0]
    assert words[:4] == ["./tricorn", "verify", "sums/Add", "--request"]
    assert [int(value) for value in json.loads(words[-1])["values"]] == [501]
    assert [difference.path for difference in again[2]] == ["quotient"]


async def test_one_that_answers_with_another_error_differs(plan: Plan, tmp_path: Path) -> None:
    def refuse(request: Any, answer: Any) -> Any:
        raise Refusal(PlatformReason.NOT_FOUND, "no")

    found = await findings(replace_inputs(plan, 60), tmp_path, refuse)

    assert found.total_different > 20
    assert "NOT_FOUND" in str(found.mismatches[0].differences[0])


async def test_one_that_answers_where_the_reference_refuses_differs(plan: Plan, tmp_path: Path) -> None:
    async with judge_with_all_divisors(plan, tmp_path) as judge:
        found = await judge.judge(
            [
                Input(
                    GENERATED,
                    "thirteen",
                    Request(
                        plan.policies[0].full_name,
                        plan.policies[0].input(divisor=13, rounding=1).SerializeToString(),
                    ),
                )
            ]
        )

    assert [str(difference) for difference in found.mismatches[0].differences] == [
        "outcome: expected PRECONDITION_FAILED (not by thirteen), got the answer {sum: 1}"
    ]


@asynccontextmanager
async def judge_with_all_divisors(plan: Plan, folder: Path) -> AsyncIterator[Judge]:
    from quiz_proto.sums.v1 import sums_pb2  # type: ignore[import-not-found]  # noqa: PLC0415 - importable with `quiz`
    from quiz_proto.sums.v1.sums_tricorn import SumsServiceBase  # type: ignore[import-not-found]  # noqa: PLC0415

    class Careless(SumsServiceBase):  # type: ignore[misc]
        async def add(self, request: Any, call: Any) -> Any:
            return sums_pb2.AddResponse(sum=1)

        keep = add
        follow = add

    service = Service(CallStats())
    service.add(Careless())
    server = GrpcServer(service, f"unix:{folder}/s")
    await server.start()
    try:
        async with judge_of(plan, folder, f"unix:{folder}/s") as judge:
            yield judge
    finally:
        await server.stop(0)


def replace_inputs(plan: Plan, count: int) -> Plan:
    return Plan(plan.manifest, plan.target, plan.against, plan.home, inputs=count)


async def test_one_that_is_always_late_differs(plan: Plan, tmp_path: Path) -> None:
    async def late(request: Any, answer: Any) -> Any:
        await asyncio.Event().wait()

    async with judged(plan, tmp_path, late) as judge:
        quick = replace(plan.policies[0], deadline=0.2)
        judge.findings.policies[quick.full_name] = quick
        found = await judge.judge(small(plan, 3))

    assert found.total_different == 3
    assert "got no answer within 0.2 s" in str(found.mismatches[0].differences[0])


async def test_one_that_is_late_once_is_asked_again_alone(plan: Plan, tmp_path: Path) -> None:
    first: set[bytes] = set()

    async def late_once(request: Any, answer: Any) -> Any:
        key = request.SerializeToString()
        if key not in first:
            first.add(key)
            await asyncio.Event().wait()
        return answer

    async with judged(plan, tmp_path, late_once) as judge:
        quick = replace(plan.policies[0], deadline=0.5)
        judge.findings.policies[quick.full_name] = quick
        found = await judge.judge(small(plan, 3))

    assert found.total_different == 0
    assert "noted: 3 late at first, in time when asked again" in list(details(found))


async def test_one_of_another_contract_is_told_by_its_answers(quiz: Manifest, plan: Plan, tmp_path: Path) -> None:
    from quiz.shapes.server import ShapesServer  # type: ignore[import-not-found]  # noqa: PLC0415

    service = Service(CallStats())
    service.add(ShapesServer())
    server = GrpcServer(service, f"unix:{tmp_path}/s")
    await server.start()
    try:
        async with judge_of(plan, tmp_path, f"unix:{tmp_path}/s") as judge:
            with pytest.raises(CandidateError, match="does not implement Add"):
                await judge.judge(small(plan, 3))
    finally:
        await server.stop(0)


async def test_one_that_is_not_there_cannot_be_judged(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(CandidateError, match="nothing answers at"):
        async with Candidate(f"unix:{tmp_path}/nobody", connect_seconds=0.2):
            pass


async def test_one_that_goes_away_in_the_middle_is_said_to_have_gone(plan: Plan, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(candidate_that(plan.manifest, tmp_path))
        async with judge_of(plan, tmp_path, address) as judge:
            await judge.judge(small(plan, 5))

            await stack.aclose()

            with pytest.raises(CandidateError, match="went away while it was asked Add"):
                await judge.judge(small(plan, 5))


async def test_what_is_known_is_given_when_it_is_interrupted(plan: Plan, tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def hang(request: Any, answer: Any) -> Any:
        if answer.sum == 99:
            asked.set()
            await asyncio.Event().wait()
        return answer

    async with judged(plan, tmp_path, hang) as judge:
        judging = asyncio.create_task(judge.judge(small(plan, 2_000)))
        await asyncio.wait_for(asked.wait(), 30)
        judging.cancel()
        found = await judging

    assert found.interrupted
    assert 0 < found.asked < 2_000
    assert closing(found, None, ended_early="interrupted").startswith(f"interrupted: 0 of {found.asked} generated")
