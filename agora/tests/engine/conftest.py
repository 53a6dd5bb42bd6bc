"""The engine's server as a process of its own, built by cargo as far as its sources have changed."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tricorn.host import load_manifest
from tricorn.host.natives import build_folder, native_binary

# How it is started lies beside the tests.
sys.path.insert(0, str(Path(__file__).parent))

from engine_process import Engine, started

AGORA = Path(__file__).parents[2]
MANIFEST = load_manifest(AGORA)
MANIFEST.activate()
BUILD_SECONDS = 1200


@pytest.fixture(scope="session")
def binary() -> Path:
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo to build the Rust engine with")
    home = AGORA.parent / ".tricorn"
    native = MANIFEST.natives["engine"]
    done = subprocess.run(
        native.build,
        cwd=AGORA / native.root,
        env={**os.environ, "CARGO_TARGET_DIR": str(build_folder("engine", home))},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return native_binary(MANIFEST, "engine", home)


@pytest.fixture
async def engine(binary: Path, tmp_path: Path) -> AsyncIterator[Engine]:
    async with started(binary, tmp_path) as engine:
        yield engine
