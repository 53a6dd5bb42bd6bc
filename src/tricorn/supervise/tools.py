"""Programs that run to their end beside the application: what prepares the database, builds and checks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.keeper import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tricorn.supervise.child import Child
    from tricorn.supervise.keeper import Surroundings

_PATIENCE = 2.0


async def run_tool(
    around: Surroundings,
    child: Child,
    word: Mapping[str, Any],
    seconds: float,
    heard: Callable[[Mapping[str, Any]], None],
) -> None:
    """Let a program that was spawned run to its end; nothing of it is left afterwards, also when this is cancelled.

    Args:
        around: what it shares with the processes.
        child: it, waiting for its word.
        word: what it is told as it begins.
        seconds: how long it may take.
        heard: called with each line that it says.

    Raises:
        SuperviseError: it said that it failed, or why, ended otherwise than well, or took too long.
    """
    child.go(**word)
    try:
        async with asyncio.timeout(seconds):
            while lines := await child.lines():
                for line in lines:
                    if "failed" in line:
                        raise SuperviseError(line["failed"], remedy=line.get("remedy", ""))
                    heard(line)
            status = await child.wait()
    except TimeoutError as error:
        raise around.broken(child, f"was not done after {seconds:.0f} s") from error
    finally:
        await child.stop(_PATIENCE, around.hurry)
    if status != 0:
        raise around.broken(child, ended(status))
