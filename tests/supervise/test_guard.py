"""A cutover in the supervisor: step by step, judged, entered in the ledger, and back when something is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.supervise.guarding import PLAN, Bench, until
from tests.supervise.traffic import METHOD, PRICES

from tricorn.prove.errors import ProveError
from tricorn.prove.ledger import Entry, Ledger
from tricorn.prove.place import describe, place
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.guard import Guard
from tricorn.wire.bindings import Binding


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    async with asyncio.timeout(60):
        yield bench
        await bench.guard.close()


async def test_a_good_candidate_gets_all_calls_step_by_step(bench: Bench) -> None:
    events = await bench.run()

    assert [event["share"] for event in events if event["event"] == "step"] == [0, 100, 2500, 10_000]
    assert bench.writer.written == [(share, "cutover") for share in (0, 100, 2500, 10_000, 10_000)]
    assert events[-1]["event"] == "done"
    assert (bench.held.share, bench.held.auto, bench.held.shadow) == (10_000, True, None)
    assert place(bench.home, PRICES).startswith("cut over to rust")


async def test_the_ledger_says_what_moved_by_whom_and_on_which_evidence(bench: Bench) -> None:
    await bench.run()

    entries = bench.ledger.entries(PRICES)

    assert [entry.event for entry in entries] == ["begun", "step", "step", "step", "watching", "done"]
    assert {entry.by for entry in entries} == {"ada"}
    assert entries[0].facts["evidence"] == "e" * 64
    assert [entry.facts["to"] for entry in entries[:4]] == [{}, {"rust": 100}, {"rust": 2500}, {"rust": 10_000}]
    assert entries[3].facts["figures"]["Price"]["calls"]["rust"] >= 200


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"seconds": 0.5}, "took longer than"),
        ({"errors": 0.3}, "failed in this step"),
        ({"different": 1}, "differ in this step"),
    ],
)
@pytest.mark.parametrize("share", [2500, 10_000])
async def test_a_candidate_that_turns_bad_is_taken_back(
    bench: Bench, bad: dict[str, float], why: str, share: int
) -> None:
    bench.traffic.bad_from = share
    vars(bench.traffic).update(bad)

    events = await bench.run(replace(PLAN, watch_seconds=30))

    assert events[-1]["event"] == "breach"
    assert events[-1]["share"] == share
    assert why in events[-1]["why"]
    assert (bench.held.share, bench.held.by, bench.held.auto) == (0, "guard", False)
    assert why in bench.held.record["why"]
    assert bench.ledger.entries()[-1].facts["to"] == {}
    assert why in place(bench.home, PRICES)


async def test_a_candidate_that_is_wrong_is_found_before_anybody_gets_its_answers(bench: Bench) -> None:
    bench.traffic.different = 1

    events = await bench.run()

    assert events[-1]["event"] == "breach"
    assert bench.writer.written == [(0, "cutover"), (0, "guard")]


async def test_a_candidate_that_was_mended_is_not_judged_by_what_it_did_before(bench: Bench) -> None:
    bench.traffic.different = 1
    assert (await bench.run())[-1]["event"] == "breach"

    bench.traffic.different = 0

    assert (await bench.run())[-1]["event"] == "done"


async def test_with_too_little_traffic_it_waits_and_then_goes_back_and_says_so(bench: Bench) -> None:
    bench.traffic.calls = 1

    events = await bench.run(replace(PLAN, step_seconds=0.05))

    assert any(event["event"] == "waiting" for event in events)
    assert events[-1]["event"] == "went back"
    assert "too little to judge" in events[-1]["why"]
    assert "--step-time" in events[-1]["why"]
    assert bench.held.share == 0


async def test_without_any_traffic_it_goes_on_only_where_that_is_allowed(bench: Bench) -> None:
    bench.traffic.calls = 0
    plan = replace(PLAN, step_seconds=0.2)

    refused = await bench.run(plan)
    allowed = await bench.run(replace(plan, allow_quiet=True))

    assert refused[-1]["event"] == "went back"
    assert allowed[-1]["event"] == "done"
    assert all(event.get("quiet") for event in allowed if event["event"] == "passed")


async def test_a_second_cutover_of_the_contract_is_refused_while_one_goes_on(bench: Bench) -> None:
    events = await bench.guard.start({"plan": PLAN.to_json()})
    await until(events, "step", 0)

    for target in (PRICES, METHOD):
        with pytest.raises(SuperviseError, match="being moved already") as raised:
            await bench.guard.start({"plan": replace(PLAN, target=target).to_json()})
        assert "tricorn rollback price" in raised.value.remedy


async def test_it_goes_on_when_nobody_listens_and_can_be_looked_at_again(bench: Bench) -> None:
    async with aclosing(await bench.guard.start({"plan": PLAN.to_json()})) as events:  # type: ignore[type-var]
        await until(events, "step", 100)

    seen = [event async for event in await bench.guard.status({"target": PRICES})]

    assert seen[-1]["event"] == "done"
    assert [event["share"] for event in seen if event["event"] == "step"] == [0, 100, 2500, 10_000]


@pytest.mark.parametrize("share", [0, 100, 2500, 10_000])
async def test_it_can_be_stopped_at_any_step(bench: Bench, share: int) -> None:
    bench.traffic.calls = 400
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", share)

    took = await bench.guard.stop({"target": PRICES, "by": "ben"})

    assert took["seconds"] < 1
    assert (bench.held.share, bench.held.by) == (0, "operator")
    last = bench.ledger.entries()[-1]
    assert (last.event, last.by) == ("went back", "ben")
    with pytest.raises(SuperviseError, match="no cutover"):
        await bench.guard.stop({"target": PRICES})


async def test_an_operator_who_binds_the_target_ends_it_and_what_they_bound_stays(bench: Bench) -> None:
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 2500)

    bench.bind(PRICES, {"rust": 5000})
    last = [event async for event in events][-1]

    assert (last["event"], last["by"]) == ("left", "operator")
    assert (bench.held.share, bench.held.by) == (5000, "operator")
    assert bench.ledger.entries()[-1].facts["to"] == {"rust": 5000}


@pytest.mark.parametrize("moment", ["begun", "step", "watching"])
async def test_what_an_operator_binds_while_the_ledger_is_written_is_not_undone(tmp_path: Path, moment: str) -> None:
    bench = Bench(tmp_path)

    class Meddled(Ledger):
        def append(self, event: str, target: str, by: str, **facts: Any) -> Entry:
            if event == moment:
                bench.bind(PRICES, {"rust": 7})
            return super().append(event, target, by, **facts)

    guard = Guard(replace(bench.guard._around, ledger=Meddled(tmp_path)))

    told = [each["event"] async for each in await guard.start({"plan": PLAN.to_json()})]

    assert told[-1] == "left"
    assert (bench.held.shares, bench.held.by) == ({"rust": 7}, "operator")


async def test_an_operator_who_binds_one_of_its_methods_ends_it_too(bench: Bench) -> None:
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 2500)

    bench.bind(METHOD, {"rust": 1})
    last = [event async for event in events][-1]

    assert last["event"] == "went back"
    assert METHOD in last["why"]
    assert bench.held.share == 0


@pytest.mark.parametrize("state", [("it ended", 0), ("", 1)])
async def test_a_native_process_that_ends_in_the_middle_is_a_breach(bench: Bench, state: tuple[str, int]) -> None:
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 2500)

    bench.state = state
    last = [event async for event in events][-1]

    assert last["event"] == "breach"
    assert "ended" in last["why"]
    assert bench.held.share == 0


async def test_a_supervisor_that_stops_in_the_middle_takes_it_back_first(bench: Bench) -> None:
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 2500)

    await bench.guard.close()

    assert bench.held.share == 0
    assert "supervisor stopped" in bench.ledger.entries()[-1].facts["why"]


async def test_after_a_kill_of_the_supervisor_python_answers_and_the_ledger_says_why(bench: Bench) -> None:
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 2500)
    again = Bench(bench.home)

    assert again.guard.recover() == [PRICES]

    assert (again.held.share, again.held.by, again.held.auto) == (0, "guard", False)
    assert again.ledger.entries()[-1].facts["why"] == "the supervisor ended in the middle"
    assert again.guard.recover() == []


async def test_a_cutover_that_was_done_survives_a_kill(bench: Bench) -> None:
    await bench.run()

    assert bench.guard.recover() == []
    assert bench.held.share == 10_000


async def test_without_a_ledger_nothing_is_moved(bench: Bench) -> None:
    bench.ledger.path.write_text("not a ledger\n")

    events = await bench.run()

    assert events[-1]["event"] == "went back"
    assert "changed from outside" in events[-1]["why"]
    assert bench.held.share == 0


async def test_a_ledger_that_fails_in_the_middle_does_not_keep_it_from_going_back(bench: Bench) -> None:
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 100)

    bench.ledger.path.unlink()
    bench.ledger.path.mkdir()
    rest = [event async for event in events]

    assert bench.held.share == 0
    assert [event["event"] for event in rest][-2:] == ["note", "went back"]


async def test_what_is_answered_natively_already_is_not_cut_over_again(bench: Bench) -> None:
    bench.bind(PRICES, {"rust": 10_000})

    with pytest.raises(SuperviseError, match="answered by rust already"):
        await bench.run()


async def test_a_method_that_is_bound_by_itself_keeps_its_contract_from_moving(bench: Bench) -> None:
    bench.bind(METHOD, {})

    with pytest.raises(SuperviseError, match="bound by itself") as raised:
        await bench.run()

    assert "tricorn bind price/Price=auto" in raised.value.remedy


async def test_without_evidence_nothing_moves_whoever_asks(bench: Bench) -> None:
    bench.refused = "price is not shown to be the same in rust"

    with pytest.raises(SuperviseError, match="not shown to be the same"):
        await bench.run()

    assert (bench.writer.written, bench.events) == ([], [])


async def test_what_the_ledger_says_it_rests_on_is_what_was_found_and_not_what_was_claimed(bench: Bench) -> None:
    await bench.run(replace(PLAN, evidence="claimed"))

    assert bench.ledger.entries()[0].facts["evidence"] == "e" * 64


async def test_what_is_bound_right_after_it_was_asked_for_is_not_undone(bench: Bench) -> None:
    events = await bench.guard.start({"plan": PLAN.to_json()})
    bench.bind(PRICES, {"rust": 5000})

    last = [event async for event in events][-1]

    assert last["event"] == "left"
    assert (bench.held.share, bench.held.by) == (5000, "operator")


async def stuck_at_a_quarter(bench: Bench) -> tuple[AsyncIterator[dict[str, Any]], Path, dict[str, Any]]:
    """A cutover whose candidate ended and whose way back cannot be written: what it tells from there on, what is in the way, and why."""
    events = await bench.guard.start({"plan": replace(PLAN, watch_seconds=30).to_json()})
    await until(events, "step", 2500)
    path = bench.home / "bindings.json"
    path.rename(bench.home / "aside")
    path.mkdir()  # as a full disk: nothing can take its place
    bench.state = ("it ended", 0)
    return events, path, await until(events, "stuck")


async def test_where_the_way_back_cannot_be_written_it_is_tried_until_it_can(bench: Bench) -> None:
    events, path, stuck = await stuck_at_a_quarter(bench)

    path.rmdir()
    last = [event async for event in events][-1]

    assert "cannot be used" in stuck["why"]
    assert last["event"] == "breach"
    assert (bench.held.share, bench.held.by) == (0, "guard")


async def test_what_an_operator_binds_while_the_way_back_cannot_be_written_stays(bench: Bench) -> None:
    events, path, _ = await stuck_at_a_quarter(bench)

    path.rmdir()
    bench.bind(PRICES, {"rust": 7})
    last = [event async for event in events][-1]

    assert last["event"] == "left"
    assert bench.held.shares == {"rust": 7}


async def test_nothing_is_begun_by_a_supervisor_that_stops(bench: Bench) -> None:
    await bench.guard.close()

    with pytest.raises(SuperviseError, match="is stopping"):
        await bench.run()
    with pytest.raises(SuperviseError, match="is stopping"):
        await bench.guard.rehearse({"target": PRICES, "to": "rust"})


async def test_a_method_that_nobody_called_holds_up_no_other_and_is_named(bench: Bench) -> None:
    plan = replace(PLAN, methods=(METHOD, f"{PRICES}/List"), shadowed=(METHOD, f"{PRICES}/List"))

    events = await bench.run(plan)

    assert [event["unseen"] for event in events if event["event"] in {"watching", "done"}] == [["List"], ["List"]]
    assert "never asked for List" in describe(bench.ledger.entries()[-1])


async def test_a_native_part_that_is_not_up_is_nothing_to_move_to(bench: Bench) -> None:
    bench.state = ("it is still being built", 0)

    with pytest.raises(SuperviseError, match="still being built"):
        await bench.run()


@pytest.mark.parametrize("wrong", [{}, {"plan": {}}, {"plan": {**PLAN.to_json(), "steps": [100]}}])
async def test_rubbish_is_refused(bench: Bench, wrong: dict[str, Any]) -> None:
    with pytest.raises(SuperviseError):
        await bench.guard.start(wrong)


async def test_what_operators_and_grow_bind_is_in_the_ledger_and_what_a_guard_moves_is_there_once(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.writer.write(lambda _: [Binding(PRICES, {"rust": 10_000}, by="grow", auto=True)])
    bench.writer.write(lambda _: [Binding(PRICES, {}, by="operator", auto=False)])
    bench.writer.write(lambda _: [Binding(PRICES, {}, by="operator", auto=False)])
    async for _event in await bench.guard.start({"plan": PLAN.to_json()}):
        pass

    assert [(entry.event, entry.by) for entry in bench.ledger.entries()][:3] == [
        ("bound", "grow"),
        ("bound", "operator"),
        ("begun", "ada"),
    ]
    assert bench.events.count("bound") == 2
    bench.writer.write(lambda now: [replace(now.at(PRICES).to("python"), by="grow")])
    assert bench.ledger.entries()[-1].facts["to"] == {}, "what is bound after a cutover is entered again"


async def test_an_entry_of_the_ledger_that_cannot_be_made_is_an_error_of_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()

    with pytest.raises(ProveError, match="Is a directory"):
        Ledger(tmp_path).append("moved", PRICES, "ada")
