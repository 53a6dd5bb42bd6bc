"""Puts the source of the platform's Go into the wheel, beside its Python, as ``tricorn/go``. All else is said in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_GO = Path(__file__).parent / "go" / "tricorn"


class BuildWithGo(build_py):  # type: ignore[misc]  # setuptools ships no types
    """Python as usual, then Go without its tests."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copytree(
                _GO, Path(self.build_lib) / "tricorn" / "go", ignore=shutil.ignore_patterns("*_test.go", "testdata")
            )


setup(cmdclass={"build_py": BuildWithGo})
