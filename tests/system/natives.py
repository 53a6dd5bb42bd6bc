"""What tests of native shapes need: the tools that build native parts, and builds that outlive a run."""

import os
import shutil
import tomllib
from typing import Any

import pytest
from shop import ROOT

BUILD_SECONDS = 1800.0
"""How long `up` may take where nothing is built yet."""

_MANIFEST: dict[str, Any] = tomllib.loads((ROOT / "agora" / "tricorn.toml").read_text())


def languages(shape: str) -> dict[str, str]:
    """The language of each process of a shape."""
    parts = {name: _MANIFEST["processes"][name].get("native") for name in _MANIFEST["shapes"][shape]["processes"]}
    return {name: _MANIFEST["natives"][part]["language"] if part else "python" for name, part in parts.items()}


_TOOLS = {"rust": ("cargo", "cc"), "go": ("go",)}
_MISSING = [
    tool
    for language in dict.fromkeys(languages("native").values())
    for tool in _TOOLS.get(language, ())
    if shutil.which(tool) is None
]
needs_tools = pytest.mark.skipif(
    bool(_MISSING), reason=f"native parts are built with their tools, and there is no {' and no '.join(_MISSING)}"
)


def shared_builds() -> dict[str, str]:
    """The environment in which what is built is kept in the repository, where the next run finds it."""
    return {"TRICORN_BUILD_DIR": os.environ.get("TRICORN_BUILD_DIR", str(ROOT / ".tricorn" / "build"))}
