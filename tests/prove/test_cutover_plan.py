"""What a cutover is asked to do, and what stands in its way."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tricorn.prove.cutover import CutoverPlan, parse_steps
from tricorn.prove.errors import ProveError
from tricorn.prove.ledger import Ledger
from tricorn.prove.place import describe, figures_of, place
from tricorn.prove.rehearsal import Rehearsal, Stamp, check_rehearsal, rehearsal_path, save_rehearsal
from tricorn.prove.step_judge import Limits

PRICES = "shop.v1.PriceService"
STAMP = Stamp(contract="c", binary="b", evidence="e")
PLAN = CutoverPlan(PRICES, "price", "rust", (100, 10_000), (f"{PRICES}/Price",), (), "ada", limits=Limits(calls=7))


def rehearsal(**more: Any) -> Rehearsal:
    said = {"target": PRICES, "language": "rust", "taken": datetime.now(UTC), "stamp": STAMP, "alone": False}
    return Rehearsal.model_validate({**said, "calls": 300, "failed": 0, "move": 0.2, "back": 0.1, **more})


def test_a_plan_travels_as_json() -> None:
    assert CutoverPlan.from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN


@pytest.mark.parametrize(
    "wrong", [{"steps": [10_000, 100]}, {"steps": [100]}, {"methods": []}, {"limits": {"alpha": 2}}, {"more": 1}]
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"plan of a cutover|are shares"):
        CutoverPlan.from_json({**PLAN.to_json(), **wrong})


@pytest.mark.parametrize(
    ("text", "steps"),
    [("1,5,25,50,100", (100, 500, 2500, 5000, 10_000)), ("0.5, 100", (50, 10_000)), ("100", (10_000,))],
)
def test_steps_are_per_cent(text: str, steps: tuple[int, ...]) -> None:
    assert parse_steps(text) == steps


@pytest.mark.parametrize("text", ["", "5", "5,1,100", "0,100", "1,1,100", "1,nan,100", "1,200", "a"])
def test_steps_that_do_not_rise_to_all_calls_are_refused(text: str) -> None:
    with pytest.raises(ProveError, match="--steps"):
        parse_steps(text)


def test_a_rehearsal_speaks_for_what_it_was_made_with(tmp_path: Path) -> None:
    save_rehearsal(tmp_path, rehearsal())

    assert check_rehearsal(tmp_path, PRICES, "price", "rust", STAMP).calls == 300


def test_a_rehearsal_of_a_contract_speaks_for_its_methods_and_not_the_other_way_round(tmp_path: Path) -> None:
    save_rehearsal(tmp_path, rehearsal())
    save_rehearsal(tmp_path, rehearsal(target="shop.v1.StockService/Get"))

    assert check_rehearsal(tmp_path, f"{PRICES}/Price", "price/Price", "rust", STAMP).target == PRICES
    with pytest.raises(ProveError, match="never rehearsed"):
        check_rehearsal(tmp_path, "shop.v1.StockService", "stock", "rust", STAMP)


@pytest.mark.parametrize(
    ("part", "said"), [("contract", "the contract"), ("binary", "the program in rust"), ("evidence", "the evidence")]
)
def test_a_rehearsal_is_stale_when_what_it_was_made_with_changed(tmp_path: Path, part: str, said: str) -> None:
    save_rehearsal(tmp_path, rehearsal())

    with pytest.raises(ProveError, match=f"{said} changed since") as raised:
        check_rehearsal(tmp_path, PRICES, "price", "rust", STAMP.model_copy(update={part: "another"}))

    assert raised.value.remedy == "run `tricorn rehearse price` first"


@pytest.mark.parametrize(
    ("more", "said"), [({"failed": 3}, "3 of 300 calls failed"), ({"calls": 0}, "no call was made")]
)
def test_a_rehearsal_that_went_wrong_does_not_count(tmp_path: Path, more: dict[str, int], said: str) -> None:
    save_rehearsal(tmp_path, rehearsal(**more))

    with pytest.raises(ProveError, match=said):
        check_rehearsal(tmp_path, PRICES, "price", "rust", STAMP)


def test_a_rehearsal_that_is_rubbish_is_said_to_be(tmp_path: Path) -> None:
    path = rehearsal_path(tmp_path, PRICES, "rust")
    path.parent.mkdir()
    path.write_text("{}")

    with pytest.raises(ProveError, match="not a rehearsal"):
        check_rehearsal(tmp_path, PRICES, "price", "rust", STAMP)


@pytest.mark.parametrize(
    ("event", "facts", "said"),
    [
        ("begun", {"share": 0}, "cutover to rust since .*: looking at python first"),
        ("step", {"share": 2500}, "cutover to rust: 25 % of the calls since"),
        ("watching", {"share": 10_000}, "still watched"),
        ("done", {"share": 10_000}, "cut over to rust, "),
        ("breach", {"share": 50, "why": "it was slow"}, "went back to python from 0.5 % of rust, .*: it was slow"),
        ("left", {"share": 500}, "ada ended a cutover to rust at 5 %"),
    ],
)
def test_the_place_of_a_target_is_what_the_ledger_last_says(
    tmp_path: Path, event: str, facts: dict[str, Any], said: str
) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(event, PRICES, "ada", language="rust", **facts)
    ledger.append("rehearsed", PRICES, "ada", language="rust")
    ledger.append("step", "shop.v1.StockService", "ada", language="go", share=100)

    assert re.search(said, place(tmp_path, PRICES))


def test_a_target_that_never_moved_has_no_place_and_a_ledger_that_was_changed_says_so(tmp_path: Path) -> None:
    assert place(tmp_path, PRICES) == ""

    (tmp_path / "ledger.jsonl").write_text("rubbish\n")

    assert "cannot be believed" in place(tmp_path, PRICES)


def test_an_entry_reads_as_a_line(tmp_path: Path) -> None:
    figures = {
        "Price": {"calls": {"python": 900, "rust": 100}, "errors": {"python": 1, "rust": 2}, "p95Ms": {"rust": 1.5}}
    }
    shares = {"from": {}, "to": {"rust": 2500}}

    line = describe(Ledger(tmp_path).append("step", PRICES, "ada", evidence="f" * 64, figures=figures, **shares))

    assert "python -> rust 25 %" in line
    assert "by ada" in line
    assert "evidence ffffffffffff" in line
    assert "calls python 900, rust 100; errors 3; P95 rust 1.5 ms" in line
    assert figures_of({"calls": {"rust": 0}, "p95Ms": {"rust": None}}) == "calls rust 0; errors 0; 0 of 0 differ"
