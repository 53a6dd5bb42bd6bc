"""The one writer of the bindings, and what operators ask of it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tricorn.supervise.binding import BindingWriter
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home
from tricorn.supervise.operators import Operators
from tricorn.supervise.reports import troubles, wait_until_held
from tricorn.wire.bindings import Binding, Bindings, Shadow, parse_bindings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STOCK = "shop.v1.StockService"
RESERVE = f"{STOCK}/Reserve"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    endpoints = {STOCK: {"python": ["unix:/p"], "rust": ["unix:/r"]}}
    (made.path / "endpoints.json").write_text(json.dumps({"version": 1, "endpoints": endpoints}))
    return made


def _to(target: str, share: int, **fields: Any) -> Callable[[Bindings], list[Binding]]:
    return lambda now: [replace(now.at(target).to("rust", share), **fields)]


def _read(home: Home) -> Bindings:
    return parse_bindings((home.path / "bindings.json").read_bytes())


def test_each_change_is_a_generation_of_the_file_and_of_what_it_changed(home: Home) -> None:
    writer = BindingWriter(home)

    writer.write(_to(STOCK, 100))
    writer.write(_to(RESERVE, 10_000))

    assert _read(home) == writer.current
    assert writer.current.generation == 2
    assert {target: each.generation for target, each in writer.current.by_target.items()} == {STOCK: 1, RESERVE: 2}


def test_what_changes_nothing_is_no_generation(home: Home) -> None:
    writer = BindingWriter(home)
    writer.write(_to(STOCK, 100))

    writer.write(_to(STOCK, 100))

    assert writer.current.generation == 1


def test_a_change_thought_out_for_another_generation_is_refused(home: Home) -> None:
    writer = BindingWriter(home)
    writer.write(_to(STOCK, 100))

    with pytest.raises(SuperviseError, match="their generation is 1, not 0"):
        writer.write(_to(STOCK, 200), expect_generation=0)

    assert writer.current.at(STOCK).share == 100


def test_what_makes_no_sense_is_not_written(home: Home) -> None:
    writer = BindingWriter(home)

    with pytest.raises(ValueError, match="basis points"):
        writer.write(_to(STOCK, 10_001))

    assert _read(home) == writer.current == Bindings()


def test_a_file_that_cannot_be_written_changes_nothing(home: Home) -> None:
    writer = BindingWriter(home)
    (home.path / "bindings.json").unlink()
    (home.path / "bindings.json").mkdir()

    with pytest.raises(SuperviseError, match="cannot be used"):
        writer.write(_to(STOCK, 100))

    assert writer.current == Bindings()


def test_bindings_outlive_the_supervisor(home: Home) -> None:
    BindingWriter(home).write(_to(STOCK, 100, by="operator", auto=False, shadow=Shadow("rust", 500)))

    found = BindingWriter(home).current.at(STOCK)

    assert (found.share, found.by, found.auto, found.shadow) == (100, "operator", False, Shadow("rust", 500))


def test_rubbish_is_put_aside(home: Home) -> None:
    (home.path / "bindings.json").write_text("{{{")

    writer = BindingWriter(home)

    assert writer.current == _read(home) == Bindings()
    assert (home.path / "bindings.unreadable").read_text() == "{{{"


READER = """
import sys
from pathlib import Path
from tricorn.wire.bindings import parse_bindings

path, last = Path(sys.argv[1]), int(sys.argv[2])
print("reading", flush=True)
while parse_bindings(path.read_bytes()).generation < last:
    pass
"""


def test_readers_never_see_a_part_of_a_file(home: Home) -> None:
    writer, changes = BindingWriter(home), 300
    command = [sys.executable, "-c", READER, str(home.path / "bindings.json"), str(changes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()

        for number in range(changes):
            writer.write(_to(STOCK, number % 100 + 1, record={"padding": "x" * (number * 50)}))

        assert reader.wait(60) == 0


def test_what_both_implementations_share_is_marked(home: Home) -> None:
    writer = BindingWriter(home, shared=[STOCK])

    writer.write(lambda now: [now.at(RESERVE).to("rust"), now.at("shop.v1.Other").to("rust")])

    assert [writer.current.at(RESERVE).shared, writer.current.at("shop.v1.Other").shared] == [True, False]


def _ask(operators: Operators, call: str, **said: Any) -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(getattr(operators, call)(said))
    return answer


def test_an_operator_binds_and_is_told_what_was(home: Home) -> None:
    writer = BindingWriter(home)
    operators = Operators(home, writer)

    _ask(operators, "bind", target=STOCK, implementation="rust", share=2500)
    answer = _ask(operators, "bind", target=STOCK, implementation="rust", share=10_000)

    assert [each["shares"] for each in (*answer["was"], *answer["now"])] == [{"rust": 2500}, {"rust": 10_000}]
    assert answer["generation"] == 2
    assert (writer.current.at(STOCK).by, writer.current.at(STOCK).auto) == ("operator", False)


def test_what_does_not_run_cannot_be_bound(home: Home) -> None:
    with pytest.raises(SuperviseError, match="no go implementation") as caught:
        _ask(Operators(home, BindingWriter(home)), "bind", target=STOCK, implementation="go")

    assert "python, rust" in caught.value.remedy


def test_a_rollback_takes_the_methods_along(home: Home) -> None:
    writer = BindingWriter(home)
    writer.write(_to(STOCK, 5000, shadow=Shadow("rust", 500)))
    writer.write(_to(RESERVE, 10_000))

    answer = _ask(Operators(home, writer), "rollback", target=STOCK)

    assert [each["shares"] for each in answer["was"]] == [{"rust": 5000}, {"rust": 10_000}]
    assert [each["shares"] for each in answer["now"]] == [{}, {}]
    assert list(writer.current.by_target) == [STOCK]
    found = writer.current.at(STOCK)
    assert (found.native, found.shadow, found.auto) == (None, None, False)


def test_a_method_is_rolled_back_by_itself(home: Home) -> None:
    writer = BindingWriter(home)
    writer.write(_to(STOCK, 10_000))

    answer = _ask(Operators(home, writer), "rollback", target=RESERVE)

    assert answer["was"][0]["shares"] == {"rust": 10_000}  # its contract's, which held for it
    assert (writer.current.at(STOCK).share, writer.current.at(RESERVE).share) == (10_000, 0)


def test_a_contract_is_given_back_to_the_platform(home: Home) -> None:
    writer, given = BindingWriter(home), []
    operators = Operators(home, writer, given.append)
    _ask(operators, "rollback", target=STOCK)

    _ask(operators, "bind", target=STOCK, implementation="auto")

    assert writer.current.at(STOCK).auto
    assert given == [STOCK]


def test_a_method_that_is_given_back_goes_with_its_contract(home: Home) -> None:
    writer = BindingWriter(home)
    operators = Operators(home, writer)
    _ask(operators, "bind", target=RESERVE, implementation="rust")

    _ask(operators, "bind", target=RESERVE, implementation="auto")

    assert RESERVE not in writer.current.by_target


def _report(home: Home, **said: Any) -> None:
    (home.path / "wire").mkdir(exist_ok=True)
    about = {
        "process": "shop",
        "pid": os.getpid(),
        "generation": 3,
        "problems": [],
        "openBreakers": [],
        "fallbacks": [],
    }
    (home.path / "wire" / "shop.json").write_text(json.dumps({**about, **said}))


def test_a_process_that_has_not_taken_a_change_is_named(home: Home) -> None:
    _report(home)

    assert wait_until_held(home.path, 3, 5.0) == []
    assert wait_until_held(home.path, 4, 0.0) == ["shop"]


def test_what_a_dead_process_said_counts_for_nothing(home: Home) -> None:
    _report(home, pid=2**22 + 1, problems=["of long ago"])

    assert wait_until_held(home.path, 4, 0.0) == []
    assert troubles(home.path) == []


def test_an_operator_reads_what_does_not_go_as_bound(home: Home) -> None:
    fallbacks = [
        {"method": RESERVE, "implementation": "rust", "why": "broke_off", "calls": 3},
        {"method": RESERVE, "implementation": "rust", "why": "over_the_cap", "calls": 1},
    ]
    _report(home, problems=["bindings.json: not JSON"], openBreakers=[f"{RESERVE} at unix:/r"], fallbacks=fallbacks)

    assert troubles(home.path) == [
        "shop: bindings.json: not JSON",
        f"shop: failed too often and is given a rest: {RESERVE} at unix:/r",
        "shop: 3 calls of stock/Reserve since its start were answered by python instead of rust (broke off)",
        "shop: 1 calls of stock/Reserve since its start were refused, since too many fell back at once",
    ]
