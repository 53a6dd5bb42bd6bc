"""The edge as a process of its own, built by go as far as its sources have changed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tricorn.data import Clones, EmbeddedPostgres
from tricorn.host.schema import migrations
from tricorn.host.testing import running

# How it is started lies beside the tests.
sys.path.insert(0, str(Path(__file__).parent))

from edge_process import AGORA, MANIFEST, Edge

BUILD_SECONDS = 1200


@pytest.fixture(scope="session")
def binary() -> Iterator[Path]:
    if shutil.which("go") is None:
        pytest.skip("there is no go to build the edge with")
    native = MANIFEST.natives["edge"]
    with tempfile.TemporaryDirectory(prefix="edge") as folder:
        done = subprocess.run(
            [word.replace("{build}", folder) for word in native.build],
            cwd=AGORA / native.root,
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield Path(folder) / native.binary


@pytest.fixture(scope="session")
def clones(postgres: EmbeddedPostgres) -> Clones:
    return Clones(postgres, migrations(MANIFEST), prefix="edge")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def edge(clones: Clones, binary: Path, postgres: EmbeddedPostgres) -> AsyncIterator[Edge]:
    with tempfile.TemporaryDirectory(prefix="edge") as folder:
        address = f"unix:{folder}/pricing"
        async with running(postgres, AGORA, ["pricing"], listen=address, home=Path(folder)):
            yield Edge(clones, binary, address)
