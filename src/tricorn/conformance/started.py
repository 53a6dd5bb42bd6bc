"""Implementations started for cases: a process of the operating system each, alone, reached by gRPC at a unix socket.

Python ones are started as ``tricorn serve`` starts them, native ones as the supervisor does: the same command line, the
same two pipes. One tells that it serves; the other ends when whoever started it does, and then it ends too.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import tricorn
from tricorn.host import Manifest
from tricorn.host.natives import native_binary

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_TAIL_BYTES = 4000


class StartError(RuntimeError):
    """An implementation did not start; the text says which, and the last that it wrote."""


@asynccontextmanager
async def started_native(
    manifest: Manifest,
    name: str,
    *,
    home: Path,
    state: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[str]:
    """A native part on its own; its address. It is built already.

    Args:
        manifest: The application.
        name: Of the part in ``[natives]``.
        home: The folder below which parts are built.
        state: The folder it keeps its own state in; by default an empty one that goes with it.
        environment: Variables that it gets besides ours.

    Raises:
        StartError: It is not built, ends before it serves, or does not serve within `START_SECONDS`.
    """
    binary = native_binary(manifest, name, home)
    if not binary.is_file():
        message = f"{name} is not built: there is no {binary}"
        raise StartError(message)
    command = [str(binary), "--metrics", "off", "--process", name]
    async with started(name, command, state=state, environment=environment) as address:
        yield address


@asynccontextmanager
async def started_python(
    manifest: Manifest, process: str, *, state: Path, environment: Mapping[str, str]
) -> AsyncIterator[str]:
    """A process of ``tricorn.toml`` on its own, by ``tricorn serve``; its address.

    Args:
        manifest: The application.
        process: Its name.
        state: The home that it gets.
        environment: Variables besides ours: ``DATABASE_URL``.

    Raises:
        StartError: As for `started_native`.
    """
    sources = str(Path(tricorn.__file__).parents[1])
    paths = [sources, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-P", "-m", "tricorn", "--app", str(manifest.root), "serve", process]
    given = {"PYTHONPATH": os.pathsep.join(paths), **environment}
    async with started(process, command, state=state, environment=given) as address:
        yield address


@asynccontextmanager
async def started(
    name: str,
    command: Sequence[str],
    *,
    state: Path | None = None,
    environment: Mapping[str, str] | None = None,
    descriptors: Sequence[int] = (),
    said: dict[str, Any] | None = None,
) -> AsyncIterator[str]:
    """Runs a command with ``--listen``, ``--home``, ``--ready-fd`` and ``--life-fd`` until the block ends; its address.

    ``descriptors`` are those that it inherits besides; what it says before it is ready goes into ``said``.
    """
    with tempfile.TemporaryDirectory(prefix="tc") as folder:
        address = f"unix:{folder}/s"
        home = state or Path(folder) / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        log = Path(folder) / "log"
        ready_reader, ready_writer = os.pipe()
        life_reader, life_writer = os.pipe()
        process = None
        try:
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    *("--listen", address, "--home", str(home)),
                    *("--ready-fd", str(ready_writer), "--life-fd", str(life_reader)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **(environment or {})},
                    pass_fds=(ready_writer, life_reader, *descriptors),
                    start_new_session=True,
                )
            os.close(ready_writer)
            os.close(life_reader)
            ready_writer = life_reader = -1
            os.write(life_writer, json.dumps({"environment": {}}).encode() + b"\n")
            if not await _said_ready(ready_reader, {} if said is None else said):
                message = f"{name} did not start:\n{_tail(log)}"
                raise StartError(message)
            yield address
        except OSError as error:
            if process is not None:
                raise
            message = f"{name} cannot be started: {error}"
            raise StartError(message) from error
        finally:
            if process is not None:
                await _end(process)
            for descriptor in (ready_reader, ready_writer, life_reader, life_writer):
                if descriptor >= 0:
                    os.close(descriptor)


async def _said_ready(descriptor: int, into: dict[str, Any]) -> bool:
    """Whether the process says that it serves; False when it ends first or takes too long."""
    os.set_blocking(descriptor, False)
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, readable.set)
    said = b""
    try:
        async with asyncio.timeout(START_SECONDS):
            while b"ready\n" not in said:
                await readable.wait()
                readable.clear()
                with contextlib.suppress(BlockingIOError):
                    part = os.read(descriptor, 4096)
                    if not part:
                        return False
                    said += part
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
    for line in said.partition(b"ready\n")[0].splitlines():
        into.update(json.loads(line))
    return True


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL to all that it started when it has not ended in time."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        return file.read().decode(errors="replace").strip()
