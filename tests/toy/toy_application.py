"""The fixture that the tests of several rooms share: a small application of Tricorn."""

import shutil
from pathlib import Path

import pytest

from tricorn.contract import codegen
from tricorn.host import load_manifest

APPLICATION = Path(__file__).parent / "app"


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy application in a folder of its own, its code generated, importable."""
    root = tmp_path_factory.mktemp("toy") / "app"
    shutil.copytree(APPLICATION, root)
    manifest = load_manifest(root)
    codegen.generate(manifest.proto_source)
    manifest.activate()
    return root
