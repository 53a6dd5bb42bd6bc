"""Inventory's native part: built as far as its sources have changed, started on the test's own database."""

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from native_inventory import NativeInventory, connected

from tricorn.conformance.started import started_native
from tricorn.host import load_manifest
from tricorn.host.natives import build_folder
from tricorn.host.testing import TestApp

AGORA = Path(__file__).parents[3]
MANIFEST = load_manifest(AGORA)
HOME = AGORA.parent / ".tricorn"
BUILD_SECONDS = 1200


@pytest.fixture(scope="session")
def go() -> str:
    found = shutil.which("go")
    if found is None:
        pytest.skip("there is no go to build inventory with")
    return found


@pytest.fixture(scope="session")
def built(go: str) -> None:
    native = MANIFEST.natives["inventory"]
    folder = build_folder("inventory", HOME)
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [word.replace("{build}", str(folder)) for word in native.build],
        cwd=AGORA / native.root,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def process(app: TestApp, built: None) -> AbstractAsyncContextManager[str]:
    """The native part on the test's database, which Python serves as well; not started yet."""
    environment = {"TRICORN_DATABASE_INVENTORY": app.database("inventory").url}
    return started_native(MANIFEST, "inventory", home=HOME, environment=environment)


@pytest.fixture
async def native(process: AbstractAsyncContextManager[str]) -> AsyncIterator[NativeInventory]:
    async with process as address, connected(address) as native:
        yield native
