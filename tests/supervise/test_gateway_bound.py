"""What operators may say about the gateway, and what is written about it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from tricorn.supervise.binding import BindingWriter
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home
from tricorn.supervise.operators import Operators
from tricorn.wire.bindings import parse_bindings

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNTS = "shop.v1.AccountsService"
ME = f"{ACCOUNTS}/GetMe"


class Port:
    """The public port of a shape with a native gateway; it is written down who was to have it."""

    language = "go"
    methods = (ME,)

    def __init__(self, *, starts: bool = True) -> None:
        self.taken: list[str] = []
        self._starts = starts

    @property
    def has_port(self) -> bool:
        return self.taken[-1:] == ["go"]

    async def choose(self, implementation: str) -> None:
        if implementation == "go" and not self._starts:
            raise SuperviseError("the edge does not start", remedy="mend it")
        self.taken.append(implementation)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.make()
    endpoints = {ACCOUNTS: {"python": ["unix:/p"]}}
    (made.path / "endpoints.json").write_text(json.dumps({"version": 1, "endpoints": endpoints}))
    return made


def _ask(operators: Operators, call: str, **said: Any) -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(getattr(operators, call)(said))
    return answer


def test_the_port_changes_hands_before_it_is_written_down(home: Home) -> None:
    port, writer = Port(), BindingWriter(home)
    operators = Operators(home, writer, edge=lambda: port)

    _ask(operators, "bind", target="gateway", implementation="go")
    bound = writer.current.at("gateway")
    _ask(operators, "rollback", target="gateway")

    assert port.taken == ["go", "python"]
    assert (dict(bound.shares), bound.by, bound.auto) == ({"go": 10_000}, "operator", False)
    assert writer.current.at("gateway").native is None


def test_a_gateway_that_does_not_start_is_not_bound(home: Home) -> None:
    writer = BindingWriter(home)

    with pytest.raises(SuperviseError, match="does not start"):
        _ask(Operators(home, writer, edge=lambda: Port(starts=False)), "bind", target="gateway", implementation="go")

    assert writer.current.generation == 0


def test_a_choice_made_for_other_bindings_moves_nothing(home: Home) -> None:
    port, writer = Port(), BindingWriter(home)
    operators = Operators(home, writer, edge=lambda: port)
    _ask(operators, "bind", target="gateway", implementation="go")

    with pytest.raises(SuperviseError, match="generation is 1, not 0"):
        _ask(operators, "bind", target="gateway", implementation="python", expectGeneration=0)

    assert port.taken == ["go"]


@pytest.mark.parametrize(
    ("port", "implementation", "said"),
    [(None, "go", "has no native gateway"), (Port(), "rust", "there is no gateway in rust")],
)
def test_what_is_no_gateway_is_refused(home: Home, port: Port | None, implementation: str, said: str) -> None:
    operators = Operators(home, BindingWriter(home), edge=lambda: port)

    with pytest.raises(SuperviseError, match=said):
        _ask(operators, "bind", target="gateway", implementation=implementation)


def test_without_a_native_gateway_python_may_be_chosen_and_is_there(home: Home) -> None:
    answer = _ask(Operators(home, BindingWriter(home)), "bind", target="gateway", implementation="python")

    assert answer["now"][0]["shares"] == {}


def test_what_the_gateway_answers_by_itself_is_bound_only_while_it_has_the_port(home: Home) -> None:
    port, writer = Port(), BindingWriter(home)
    operators = Operators(home, writer, edge=lambda: port)

    with pytest.raises(SuperviseError, match="no go implementation"):
        _ask(operators, "bind", target=ME, implementation="go")
    _ask(operators, "bind", target="gateway", implementation="go")
    _ask(operators, "bind", target=ME, implementation="go")

    bound = writer.current.at(ME)
    assert (dict(bound.shares), dict(bound.record)) == ({"go": 10_000}, {"gateway": True})


@pytest.mark.parametrize(
    ("name", "share", "said"),
    [("gateways", 10_000, "a name is package.Service"), ("gateway", 2500, "the public port cannot be divided")],
)
def test_other_forms_of_it_make_no_sense(name: str, share: int, said: str) -> None:
    text = json.dumps({"version": 1, "generation": 1, "bindings": {name: {"shares": {"go": share}}}})

    with pytest.raises(ValueError, match=said):
        parse_bindings(text)
