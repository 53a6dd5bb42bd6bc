"""Named points at which a test makes a process fail.

``TRICORN_FAILPOINTS="orders.reserved=kill;payments.authorised=delay:0.5"`` arms them for a process; without it a
failpoint costs one look at an empty dictionary. Actions: ``kill`` (SIGKILL to this process), ``error`` (raises
`FailpointError`), ``delay:SECONDS``, ``pause`` (SIGSTOP to this process). An action may be limited to its first
occurrences: ``2*error``.

``TRICORN_FAILPOINTS=@FILE`` reads what is armed from a file at every failpoint, so that a test can arm a running
process. A ``kill`` removes the file first: the process that is started in its place is not armed.
"""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_ACTIONS = {"kill", "error", "delay", "pause"}


class FailpointError(RuntimeError):
    """Raised by an armed failpoint whose action is ``error``."""


@dataclass(slots=True)
class _Action:
    kind: str
    seconds: float
    remaining: int | None


def _parse(text: str) -> dict[str, _Action]:
    armed = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, action = entry.partition("=")
        count, star, rest = action.partition("*")
        kind, _, argument = (rest if star else action).partition(":")
        if not equals or kind not in _ACTIONS or (star and not count.isdigit()):
            message = f"TRICORN_FAILPOINTS: {entry!r} is not NAME=[COUNT*]kill|error|pause|delay:SECONDS"
            raise ValueError(message)
        armed[name] = _Action(kind, float(argument or 0), int(count) if star else None)
    return armed


_said = os.environ.get("TRICORN_FAILPOINTS", "")
_file = Path(_said[1:]) if _said.startswith("@") else None
_armed = {} if _file else _parse(_said)


def arm(text: str) -> None:
    """Replaces what is armed in this process; an empty text disarms everything."""
    _armed.clear()
    _armed.update(_parse(text))


async def failpoint(name: str) -> None:
    """Does what is armed for ``name``; nothing when nothing is."""
    if _file is not None and _file.exists():
        arm(_file.read_text())
    action = _armed.get(name) if _armed else None
    if action is None:
        return
    if action.remaining is not None:
        if action.remaining == 0:
            return
        action.remaining -= 1
    if action.kind == "delay":
        await asyncio.sleep(action.seconds)
    elif action.kind == "error":
        message = f"failpoint {name}"
        raise FailpointError(message)
    elif action.kind == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        if _file is not None:
            _file.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)
