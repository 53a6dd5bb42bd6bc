"""What the measurements do with what they find."""

import base64
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "system"))

import client
import compare
import compare_report
import plans
import sequence

ROOT = Path(__file__).resolve().parents[2]


@given(st.fixed_dictionaries({name: st.floats(1, 1e5) for name in ("python", "native", "flask", "fastapi")}))
def test_somebody_and_the_base_can_keep_every_pace(rates: dict[str, float]) -> None:
    paces = compare._paces(rates)

    assert paces[0] == pytest.approx(0.7 * rates["flask"])
    assert min(paces) < min(rates.values())


def test_each_round_begins_with_another_side() -> None:
    sides = ["a", "b", "c"]

    turns = [compare._turn(sides, number) for number in range(3)]  # type: ignore[arg-type]

    assert turns == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]


def test_what_ends_badly_says_why_and_takes_nothing_of_the_others_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: float) -> dict[str, Any]:
        raise subprocess.CalledProcessError(1, ["tricorn", "up"], stderr="the disk is full")

    kept = tmp_path / "kept" / "found.json"
    good = (lambda seconds: {"took": seconds}, lambda found: [f"it took {found['took']}"])
    wanted = {"first": good, "broken": (broken, lambda _: []), "last": good}

    failed = sequence.run(wanted, 2.0, kept)

    found = json.loads(kept.read_text())
    said = capsys.readouterr().out
    assert failed == 1
    assert (found["first"], found["last"]) == ({"took": 2.0}, {"took": 2.0})
    assert found["broken"] == {"notMeasured": "the disk is full"}
    assert "NOT MEASURED, broken: the disk is full" in said
    assert said.count("it took 2.0") == 2


def test_ratios_are_told_of_those_who_are_there() -> None:
    paced = {"per_second": 70.0, "unable": [], "sides": {"flask": {"p95Ms": 30.0}, "native": {"p95Ms": 3.0}}}
    load = {
        "per_second": {"native": 900.0, "flask": 100.0, "bare": 1200.0},
        "cpu_ms": {"native": 0.1, "flask": 2.0, "bare": 0.04},
        "paced": [paced],
    }

    (row,) = [line.split() for line in compare_report.ratios({"me": load}) if line.split()[0] == "me"]

    assert row == ["me", "9.00", "20.00", "10.00", "-", "-", "12.00", "50.00"]


def test_a_customers_id_is_made_as_postgresql_makes_it() -> None:
    # SELECT md5('bench-0')::uuid
    assert uuid.UUID(plans.user_id(0)) == uuid.UUID("53ff4dc5aab7d069c50b1e18e0d716ca")


def test_a_plan_keeps_every_byte(tmp_path: Path) -> None:
    request = b"GET / HTTP/1.1\r\n\r\n\x00\xff"

    path = client.write_plan(tmp_path / "plan.json", [client.Class("read", 7, [request])])

    (written,) = json.loads(path.read_text())["classes"]
    assert (written["name"], written["weight"]) == ("read", 7)
    assert base64.b64decode(written["requests"][0]) == request


def test_the_client_and_its_caller_mean_the_same_place_for_a_key() -> None:
    source = (ROOT / "bench/go/load/plan.go").read_text()

    assert f'FreshKey = "{client.FRESH_KEY}"' in source
