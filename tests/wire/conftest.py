import asyncio
import importlib
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import google.rpc.status_pb2
import pytest

import tricorn.v1.options_pb2

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "toy")]

from sides import Native, Served, serving  # noqa: E402 - found through the line above
from toy_application import toy  # noqa: E402, F401 - a fixture, found likewise


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the meters' generated module, importable."""
    out = tmp_path_factory.mktemp("meter")
    platform = Path(tricorn.v1.options_pb2.__file__).parents[1] / "proto"
    google_protos = Path(google.rpc.status_pb2.__file__).parents[2]
    includes = [f"-I{path}" for path in (_HERE / "proto", platform, google_protos)]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes, f"--python_out={out}", "meter/v1/meter.proto"]
    subprocess.run(command, check=True, timeout=60)
    sys.path.insert(0, str(out))
    importlib.import_module("meter.v1.meter_pb2")
    yield out
    sys.path.remove(str(out))


@pytest.fixture
async def native(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A native implementation behind a socket."""
    async with serving(f"unix:{tmp_path_factory.mktemp('n')}/s") as served:
        yield served


@pytest.fixture
async def start_native(
    generated: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[..., Awaitable[Native]]]:
    """Starts processes that stand for native implementations."""
    folder = tmp_path_factory.mktemp("n")
    started: list[Process] = []

    async def start() -> Native:
        address = f"unix:{folder}/{len(started)}"
        command = [sys.executable, str(_HERE / "metering.py"), str(generated), address]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        started.append(process)
        native = Native(process, address)
        await native.hears("ready")
        return native

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
