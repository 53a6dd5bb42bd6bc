import shutil
from pathlib import Path

import pytest

from tricorn.contract import codegen
from tricorn.host import load_manifest

TOY = Path(__file__).resolve().parents[1] / "toy" / "app"


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy application in a folder of its own, its code generated, importable."""
    root = tmp_path_factory.mktemp("toy") / "app"
    shutil.copytree(TOY, root)
    manifest = load_manifest(root)
    codegen.generate(manifest.proto_source)
    manifest.activate()
    return root
