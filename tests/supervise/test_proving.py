"""What the supervisor does when it is asked to shadow or to record."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tricorn.prove.orders import FILE, PARTS, parse_orders
from tricorn.supervise.binding import BindingWriter
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home
from tricorn.supervise.proving import Proving
from tricorn.wire.bindings import AT_GATEWAY, Binding, Shadow

if TYPE_CHECKING:
    from pathlib import Path

STOCK = "shop.v1.StockService"
RESERVE, COUNT = f"{STOCK}/Reserve", f"{STOCK}/Count"
ASK = "shop.v1.OtherService/Ask"
ORDER = {"contract": STOCK, "methods": ["Count"], "sample": 500, "seconds": 60, "most_bytes": 1000}


class EdgeWithPort:
    """A gateway in Go that answers a method by itself."""

    language = "go"
    methods = (ASK,)
    has_port = True

    async def choose(self, implementation: str) -> None:
        """It stays as it is."""


class Desk:
    """What answers, without the socket before it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.writer = BindingWriter(home)
        self.edge = EdgeWithPort()
        self._proving = Proving(home, self.writer, lambda: self.edge)

    def ask(self, call: str, **said: Any) -> dict[str, Any]:
        answer: dict[str, Any] = asyncio.run(getattr(self._proving, call)(said))
        return answer

    def shadow(self, target: str, sample: int = 500, implementation: str = "rust") -> None:
        self.ask("shadow", target=target, implementation=implementation, sample=sample)

    def bound(self, target: str) -> Binding:
        return self.writer.current.at(target)

    def orders(self) -> list[str]:
        return list(parse_orders((self.home.path / FILE).read_bytes()))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    home = Home(tmp_path / "home")
    home.make()
    endpoints = {STOCK: {"python": ["unix:/p"], "rust": ["unix:/r"], "go": ["unix:/g"]}}
    (home.path / "endpoints.json").write_text(json.dumps({"version": 1, "endpoints": endpoints}))
    return Desk(home)


def test_shadow_changes_nothing_of_who_answers(desk: Desk) -> None:
    desk.writer.write(lambda now: [replace(now.at(STOCK).to("rust", 100), by="operator", auto=False)])

    desk.shadow(STOCK)

    bound = desk.bound(STOCK)
    assert bound.shadow == Shadow("rust", 500)
    assert (bound.share, bound.by, bound.auto, bound.generation) == (100, "operator", False, 2)


def test_shadow_of_a_contract_holds_for_methods_that_are_bound_by_themselves(desk: Desk) -> None:
    desk.writer.write(lambda now: [now.at(COUNT).to("rust")])

    desk.shadow(STOCK)
    begun = desk.bound(COUNT).shadow
    desk.ask("end_shadow", target=STOCK)

    assert begun == Shadow("rust", 500)
    assert [desk.bound(target).shadow for target in (STOCK, COUNT)] == [None, None]


def test_a_method_is_shadowed_without_being_bound_by_itself(desk: Desk) -> None:
    desk.shadow(COUNT)
    desk.shadow(RESERVE, sample=1000)

    assert list(desk.writer.current.by_target) == [STOCK]
    assert desk.bound(STOCK).shadow == Shadow("rust", 1000, ("Count", "Reserve"))
    desk.ask("end_shadow", target=COUNT)
    assert desk.bound(STOCK).shadow == Shadow("rust", 1000, ("Reserve",))
    desk.ask("end_shadow", target=RESERVE)
    assert desk.bound(STOCK).shadow is None


def test_a_method_cannot_be_shadowed_otherwise_than_its_contract(desk: Desk) -> None:
    desk.shadow(STOCK)

    with pytest.raises(SuperviseError, match="stock is shadowed already: all its methods"):
        desk.shadow(COUNT)


def test_an_implementation_that_does_not_run_is_refused(desk: Desk) -> None:
    with pytest.raises(SuperviseError, match="no zig implementation of stock runs here: there is go, rust"):
        desk.shadow(STOCK, implementation="zig")
    with pytest.raises(SuperviseError, match="only python answers it"):
        desk.shadow("shop.v1.OtherService")


def test_what_the_gateway_answers_by_itself_can_be_shadowed_while_it_has_the_port(desk: Desk) -> None:
    with pytest.raises(SuperviseError, match="no go implementation of other/Ask runs here: only python answers it"):
        desk.shadow(ASK, implementation="go")
    desk.writer.write(lambda now: [replace(now.at(ASK).to("go"), record={AT_GATEWAY: True})])

    desk.shadow(ASK, implementation="go")

    assert desk.bound(ASK).shadow == Shadow("go", 500)
    assert desk.bound(ASK).record == {AT_GATEWAY: True}
    desk.edge.has_port = False
    with pytest.raises(SuperviseError, match="only python answers it"):
        desk.shadow(ASK, implementation="go")


def test_what_is_not_shadowed_cannot_be_ended(desk: Desk) -> None:
    for target in (STOCK, COUNT):
        with pytest.raises(SuperviseError, match="is not shadowed"):
            desk.ask("end_shadow", target=target)


@pytest.mark.parametrize("record", [{"cutover": "going on"}, {"rehearsing": {}}])
def test_a_cutover_is_not_interfered_with(desk: Desk, record: dict[str, Any]) -> None:
    desk.writer.write(lambda now: [replace(now.at(STOCK), record=record, shadow=Shadow("rust", 1000))])

    with pytest.raises(SuperviseError, match="being cut over"):
        desk.shadow(STOCK)
    with pytest.raises(SuperviseError, match="being cut over"):
        desk.ask("end_shadow", target=STOCK)


def test_an_order_to_record_is_written_for_every_process_and_taken_back(desk: Desk) -> None:
    begun = desk.ask("record", **ORDER)
    other = desk.ask("record", **ORDER)

    assert desk.orders() == [begun["id"], other["id"]]
    [order] = [each for each in parse_orders((desk.home.path / FILE).read_bytes()).values() if each.id == begun["id"]]
    assert (order.contract, order.methods, order.sample, order.most_bytes) == (STOCK, ("Count",), 500, 1000)
    assert order.until == pytest.approx(time.time() + 60, abs=30)
    assert begun["folder"] == str(desk.home.path / PARTS / begun["id"])
    assert stat.S_IMODE((desk.home.path / FILE).stat().st_mode) == 0o600
    desk.ask("end_recording", id=begun["id"])
    assert desk.orders() == [other["id"]]
    desk.ask("end_recording", id=begun["id"])  # again, which does nothing


def test_what_nobody_fetched_is_not_kept_for_ever(desk: Desk) -> None:
    begun = desk.ask("record", **ORDER)
    old, young = (desk.home.path / PARTS / name for name in ("old", "young"))
    for folder in (old, young, desk.home.path / PARTS / begun["id"]):
        folder.mkdir(parents=True)
    for folder in (old, desk.home.path / PARTS / begun["id"]):
        os.utime(folder, (1, 1))

    desk.ask("record", **ORDER)

    assert sorted(path.name for path in (desk.home.path / PARTS).iterdir()) == sorted(["young", begun["id"]])
