"""What moved when, kept so that a change of it is seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.prove.errors import ProveError
from tricorn.prove.ledger import Ledger

PRICES = "shop.v1.PriceService"


def filled(home: Path) -> Ledger:
    ledger = Ledger(home)
    for share in (100, 500, 2500):
        ledger.append("moved", PRICES, "ada", to={"rust": share})
    return ledger


def test_entries_come_back_in_order_with_who_and_what(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    ledger.append("moved", "shop.v1.StockService", "ben", to={"go": 100})

    entries = Ledger(tmp_path).entries(PRICES)

    assert [(entry.number, entry.by, entry.facts["to"]["rust"]) for entry in entries] == [
        (1, "ada", 100),
        (2, "ada", 500),
        (3, "ada", 2500),
    ]
    assert len(ledger.entries()) == 4


@pytest.mark.parametrize("harm", ["a word changed", "a line taken out", "two lines swapped", "a line put in"])
def test_a_change_from_outside_is_found_and_nothing_is_added_to_it(tmp_path: Path, harm: str) -> None:
    ledger = filled(tmp_path)
    lines = ledger.path.read_text().splitlines()
    changed = {
        "a word changed": [lines[0].replace("ada", "eve"), *lines[1:]],
        "a line taken out": [lines[0], lines[2]],
        "two lines swapped": [lines[1], lines[0], lines[2]],
        "a line put in": [lines[0], lines[0], *lines[1:]],
    }[harm]
    ledger.path.write_text("\n".join(changed) + "\n")

    with pytest.raises(ProveError, match="changed from outside"):
        ledger.entries()
    with pytest.raises(ProveError, match="changed from outside"):
        ledger.append("moved", PRICES, "ada")

    assert ledger.path.read_text().splitlines() == changed


def test_an_entry_whose_writer_died_in_the_middle_is_passed_over_and_replaced(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    with ledger.path.open("a") as file:
        file.write('{"number": 4, "time": "2026-')

    assert len(ledger.entries()) == 3
    ledger.append("moved", PRICES, "ada", to={"rust": 5000})

    assert [entry.number for entry in ledger.entries()] == [1, 2, 3, 4]


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "nowhere")

    with pytest.raises(ProveError, match="No such file") as raised:
        ledger.append("moved", PRICES, "ada")

    assert "moved back" in raised.value.remedy


def test_two_processes_may_append_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tricorn.prove.ledger import Ledger\n"
        "ledger = Ledger(Path(sys.argv[1]))\n"
        "for n in range(20): ledger.append('moved', 'a.B', sys.argv[2])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], env=environment) for name in ("x", "y")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]

    entries = Ledger(tmp_path).entries()
    assert [entry.number for entry in entries] == list(range(1, 41))
    assert {entry.by for entry in entries} == {"x", "y"}


def test_a_line_is_json_that_other_programs_read(tmp_path: Path) -> None:
    ledger = filled(tmp_path)

    said = json.loads(ledger.path.read_text().splitlines()[1])

    assert said["previous"] == json.loads(ledger.path.read_text().splitlines()[0])["hash"]
    assert said["facts"] == {"to": {"rust": 500}}
