"""A supervisor that runs hears operators, and keeps what they chose."""

from __future__ import annotations

from typing import Any

from tricorn.supervise.control import ControlClient
from tricorn.supervise.home import Home
from tricorn.wire.bindings import parse_bindings

STOCK = "shop.v1.StockService"


def test_what_an_operator_rolled_back_stays_so_over_a_restart(start: Any) -> None:
    run = start()
    run.until("ready")
    answer = ControlClient(Home(run.home)).call("rollback", target=STOCK)
    assert run.stop() == 0

    again = start()
    again.until("ready")

    binding = parse_bindings((run.home / "bindings.json").read_bytes()).at(STOCK)
    assert answer["generation"] == binding.generation == 1
    assert (binding.by, binding.auto, binding.native) == ("operator", False, None)
