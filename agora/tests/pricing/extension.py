"""The Rust engine as a Python extension, built by cargo as far as its sources have changed."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Protocol, cast

from tricorn.host.natives import build_folder

ROOT = Path(__file__).parents[3]
WORKSPACE = ROOT / "agora" / "native" / "engine"
BUILD_SECONDS = 1200


class Engine(Protocol):
    """The module `agora_engine`; what it does is written in its stubs."""

    Refused: type[Exception]

    def call(self, method: str, request: bytes) -> bytes: ...

    def search_seconds(self, request: bytes, repeats: int) -> float: ...


class BuildFailedError(Exception):
    """What cargo said."""


def have_cargo() -> bool:
    return shutil.which("cargo") is not None


def load_engine(home: Path = ROOT / ".tricorn") -> Engine:
    """The extension, built beside the server in the home's build folder.

    Raises:
        BuildFailedError: It could not be built.
    """
    folder = build_folder("engine", home)
    done = subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked", "-p", "engine-py"],
        cwd=WORKSPACE,
        env={**os.environ, "CARGO_TARGET_DIR": str(folder), "PYO3_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BuildFailedError(done.stderr)
    name = "libagora_engine.dylib" if sys.platform == "darwin" else "libagora_engine.so"
    loader = ExtensionFileLoader("agora_engine", str(folder / "release" / name))
    spec = spec_from_loader("agora_engine", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return cast("Engine", module)
