"""A small application of pure contracts, its code generated once."""

import shutil
from pathlib import Path

import pytest

from tricorn.contract import codegen
from tricorn.host import Manifest, load_manifest

APPLICATION = Path(__file__).parent / "quiz"
SUMS = "quiz.sums.v1.SumsService"
SHAPES = "quiz.shapes.v1.ShapesService"


@pytest.fixture(scope="session")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """The application in a folder of its own, importable."""
    root = tmp_path_factory.mktemp("quiz") / "quiz"
    shutil.copytree(APPLICATION, root)
    manifest = load_manifest(root)
    codegen.generate(manifest.proto_source)
    manifest.activate()
    return manifest


@pytest.fixture
def copy_of_quiz(quiz: Manifest, tmp_path: Path) -> Manifest:
    """The same in a folder that a test may change."""
    root = tmp_path / "copy"
    shutil.copytree(quiz.root, root)
    return load_manifest(root)
