"""`bind` and `rollback`, typed: from the words to what the processes do."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "toy"))

from toy_application import toy  # noqa: F401 - a fixture, found through the line above

from tricorn.cli.main import main
from tricorn.host.testing import running
from tricorn.supervise.binding import BindingWriter
from tricorn.supervise.control import Control
from tricorn.supervise.home import Home
from tricorn.supervise.operators import Operators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tricorn.data import EmbeddedPostgres
    from tricorn.host.testing import TestApp

TALLY = "toy.tally.v1.TallyService"
Type = "Callable[..., Awaitable[tuple[int, str]]]"


@pytest.fixture
async def app(toy: Path, postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[TestApp]:  # noqa: F811
    """A process, and what of the supervisor commands speak to; rust has an address at which nobody listens."""
    home = Home(tmp_path / "home")
    home.make()
    home.lock()
    endpoints = {TALLY: {"rust": ["unix:/nonexistent/socket"]}}
    (home.path / "endpoints.json").write_text(json.dumps({"version": 1, "endpoints": endpoints}))
    control = Control(home)
    Operators(home, BindingWriter(home)).listen(control)
    await control.start()
    async with running(postgres, toy, ["notes", "tally"], home=home.path) as app:
        yield app
    await control.stop()
    home.unlock()


@pytest.fixture
def say(
    app: TestApp,
    toy: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Type:
    monkeypatch.setenv("TRICORN_HOME", str(app.process.home))
    monkeypatch.setenv("TRICORN_APP", str(toy))

    async def said(*words: str) -> tuple[int, str]:
        status = await asyncio.to_thread(main, words)
        heard = capsys.readouterr()
        return status, heard.out + heard.err

    return said


def _bound(app: TestApp) -> Any:
    return app.process.endpoints.bindings.at(TALLY)


async def test_what_was_typed_holds_when_the_command_returns(app: TestApp, say: Any) -> None:
    status, text = await say("bind", "tally=rust")

    assert status == 0, text
    assert "tally -> rust 100 %   was python" in text
    assert "generation 1 holds everywhere" in text
    assert _bound(app).native == "rust"


async def test_the_way_back_says_what_was(app: TestApp, say: Any) -> None:
    await say("bind", "tally=rust")

    status, text = await say("rollback", "tally")

    assert status == 0, text
    assert "tally -> python   was rust 100 %, bound by operator" in text
    assert _bound(app).native is None


async def test_a_choice_is_given_back(app: TestApp, say: Any) -> None:
    await say("rollback", "tally")
    assert not _bound(app).auto

    status, text = await say("bind", "tally=auto")

    assert status == 0, text
    assert _bound(app).auto


@pytest.mark.parametrize(
    ("word", "what", "remedy"),
    [
        ("tally", "says not who answers", "pricing=rust:25"),
        ("tally=", "says not who answers", "pricing=rust:25"),
        ("tally=rust:101", "101 is no share", "from 0.01 to 100"),
        ("tally=rust:0.001", "0.001 is no share", "from 0.01 to 100"),
        ("tally=rust:many", "many is no share", "from 0.01 to 100"),
        ("nothing=rust", "no contract 'nothing'", ""),
        ("tally/Nothing=rust", "has no method 'Nothing'", ""),
        ("tally=go", "no go implementation of", "python, rust"),
        ("tally=rust:25", "tally/GetTally cannot be divided: its contract names no split key", "as a whole"),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(
    word: str, what: str, remedy: str, app: TestApp, say: Any
) -> None:
    status, text = await say("bind", word)

    assert status == 1
    assert what in text
    assert remedy in text
    assert app.process.endpoints.bindings.generation == 0


async def test_nothing_runs_there(
    toy: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRICORN_APP", str(toy))

    status = await asyncio.to_thread(main, ["rollback", "tally", "--home", str(tmp_path)])

    assert status == 1
    assert "nothing runs in" in capsys.readouterr().err
