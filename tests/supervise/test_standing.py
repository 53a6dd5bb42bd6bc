"""What `status` makes of the state file and the bindings."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tricorn.supervise.standing import describe

if TYPE_CHECKING:
    from pathlib import Path

CONTRACT = "shop.goods.v1.GoodsService"


def _state(*, up: bool = True, found: str = "python: its evidence is old", doubt: str = "") -> dict[str, Any]:
    part = {"name": "fast", "language": "rust", "process": "fast", "address": "unix:/nowhere/fast", "up": up}
    return {
        "url": "http://127.0.0.1:1",
        "shape": "grow",
        "phase": "ready",
        "services": [{"name": "goods", "contract": CONTRACT, "process": "all", "address": "unix:/nowhere/all"}],
        "parts": [
            {**part, "stage": "up", "contracts": {CONTRACT: found}, "doubts": {CONTRACT: doubt} if doubt else {}}
        ],
        "processes": [{"name": "all", "pid": os.getpid(), "restarts": 2, "address": ""}],
    }


def _bind(home: Path, target: str = CONTRACT, **said: Any) -> None:
    binding = {"generation": 3, "by": "grow", "auto": True, "shares": {}, **said}
    (home / "bindings.json").write_text(json.dumps({"version": 1, "generation": 3, "bindings": {target: binding}}))


def _goods(home: Path, **state: Any) -> dict[str, Any]:
    [service] = describe(_state(**state), home)["services"]
    return dict(service)


def test_without_a_binding_python_answers_and_the_place_says_why(tmp_path: Path) -> None:
    service = _goods(tmp_path)

    assert (service["implementation"], service["process"], service["share"]) == ("python", "all", 10_000)
    assert service["shares"] == {"python": 10_000}
    assert service["place"] == "python: its evidence is old"


def test_a_part_that_has_most_calls_is_named_with_its_process_and_address(tmp_path: Path) -> None:
    _bind(tmp_path, shares={"rust": 7500})

    service = _goods(tmp_path)

    assert (service["implementation"], service["process"], service["address"]) == ("rust", "fast", "unix:/nowhere/fast")
    assert service["shares"] == {"python": 2500, "rust": 7500}
    assert (service["share"], service["place"]) == (7500, "bound by grow")


def test_a_small_share_leaves_the_service_python_s(tmp_path: Path) -> None:
    _bind(tmp_path, shares={"rust": 100}, by="operator", auto=False)

    service = _goods(tmp_path)

    assert (service["implementation"], service["share"]) == ("python", 9900)
    assert (service["shares"]["rust"], service["place"]) == (100, "bound by operator")


def test_a_binding_to_a_part_that_is_gone_is_called_that(tmp_path: Path) -> None:
    _bind(tmp_path, shares={"rust": 10_000}, by="operator", auto=False)

    service = _goods(tmp_path, up=False)

    assert (service["implementation"], service["shares"]) == ("python", {"python": 10_000})
    assert service["place"] == "bound to rust, which is not there, so python answers"


def test_what_an_operator_bound_without_evidence_is_called_that(tmp_path: Path) -> None:
    _bind(tmp_path, shares={"rust": 10_000}, by="operator", auto=False)

    place = _goods(tmp_path, doubt="the reference changed since")["place"]

    assert place == "bound by operator; without evidence: the reference changed since"


def test_a_rollback_is_an_operator_s_choice(tmp_path: Path) -> None:
    _bind(tmp_path, by="operator", auto=False)

    assert _goods(tmp_path)["place"] == "bound by operator"


def test_a_method_that_is_bound_by_itself_is_listed(tmp_path: Path) -> None:
    _bind(tmp_path, f"{CONTRACT}/GetGoods", shares={"rust": 2500}, by="operator", auto=False)

    assert _goods(tmp_path)["place"] == "GetGoods by itself: 25 % rust; python: its evidence is old"


def test_bindings_that_make_no_sense_are_python_s(tmp_path: Path) -> None:
    (tmp_path / "bindings.json").write_text("rubbish")

    assert _goods(tmp_path)["implementation"] == "python"


@pytest.mark.parametrize("pid", [os.getpid(), None], ids=["there", "gone"])
def test_a_process_is_measured_if_it_is_there(tmp_path: Path, pid: int | None) -> None:
    state = _state()
    state["processes"][0]["pid"] = pid

    [process] = describe(state, tmp_path)["processes"]

    assert (process["rssBytes"] > 1_000_000, process["cpuSeconds"] > 0) == (pid is not None, pid is not None)
    assert process["health"] == ("serving" if pid else "not serving")
    assert process["restarts"] == 2
