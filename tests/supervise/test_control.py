"""How commands reach the supervisor."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tricorn.supervise.control import Control, ControlClient
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def controlled(path: Path) -> AsyncIterator[tuple[Control, Home]]:
    home = Home(path)
    home.make()
    home.lock()
    control = Control(home)
    await control.start()
    try:
        yield control, home
    finally:
        await control.stop()
        home.unlock()


def _socket(home: Home) -> Path:
    return Path((home.path / "control.address").read_text().strip())


async def test_a_request_is_answered(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (control, home):

        async def double(arguments: dict[str, Any]) -> dict[str, Any]:
            return {"is": arguments["number"] * 2}

        control.handle("double", double)

        assert await asyncio.to_thread(ControlClient(home).call, "double", number=21) == {"is": 42}


async def test_items_come_one_after_the_other_until_the_end(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (control, home):

        async def count(arguments: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
            for number in range(arguments["to"]):
                yield {"number": number}

        control.handle("count", count)

        items = await asyncio.to_thread(lambda: list(ControlClient(home).stream("count", to=3)))

        assert items == [{"number": 0}, {"number": 1}, {"number": 2}]


async def test_a_refusal_keeps_what_to_do(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (control, home):

        async def refuse(_: dict[str, Any]) -> dict[str, Any]:
            raise SuperviseError("no", remedy="ask somebody else")

        control.handle("refuse", refuse)

        with pytest.raises(SuperviseError) as caught:
            await asyncio.to_thread(ControlClient(home).call, "refuse")

        assert (caught.value.what, caught.value.remedy) == ("no", "ask somebody else")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"rubbish\n", "a request that is none"),
        (b"[]\n", "a request that is none"),
        (b'{"call": 7}\n', "a request that is none"),
        (b'{"call": "x", "arguments": []}\n', "a request that is none"),
        (b'{"call": "nothing"}\n', "knows no 'nothing'"),
        (b'{"call": "fail"}\n', "failed at it"),
    ],
)
async def test_rubbish_and_defects_are_told_and_harm_nobody_else(line: bytes, said: str, tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (control, home):

        async def fail(arguments: dict[str, Any]) -> dict[str, Any]:
            return {"is": arguments["missing"]}

        control.handle("fail", fail)
        reader, writer = await asyncio.open_unix_connection(_socket(home))
        writer.write(line)

        answer = json.loads(await reader.readline())

        assert said in answer["error"]
        assert answer["remedy"]
        writer.close()


async def test_whoever_goes_away_ends_what_was_asked(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (control, home):
        begun, ended = asyncio.Event(), asyncio.Event()

        async def wait(_: dict[str, Any]) -> dict[str, Any]:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return {}

        control.handle("wait", wait)
        _, writer = await asyncio.open_unix_connection(_socket(home))
        writer.write(b'{"call": "wait"}\n')
        await begun.wait()

        writer.close()

        async with asyncio.timeout(10):
            await ended.wait()


async def test_the_end_of_the_supervisor_is_told_to_who_waits(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (control, home):
        begun = asyncio.Event()

        async def wait(_: dict[str, Any]) -> dict[str, Any]:
            begun.set()
            await asyncio.Event().wait()
            return {}

        control.handle("wait", wait)
        asking = asyncio.create_task(asyncio.to_thread(ControlClient(home).call, "wait"))
        await begun.wait()
        await control.stop()

        with pytest.raises(SuperviseError, match="did not answer"):
            await asking


async def test_only_its_user_can_open_the_socket(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (_, home):
        path = _socket(home)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.exists()


async def test_a_socket_that_a_killed_supervisor_left_is_in_nobodys_way(tmp_path: Path) -> None:
    async with controlled(tmp_path / "home") as (_, home):
        path = _socket(home)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async with controlled(tmp_path / "home") as (_, home):
        with pytest.raises(SuperviseError, match="knows no"):
            await asyncio.to_thread(ControlClient(home).call, "anything")


def test_a_home_in_which_nothing_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(SuperviseError, match="nothing runs"):
        ControlClient(Home(tmp_path)).call("anything")
