"""Where native parts are built."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest

BUILDS_VARIABLE = "TRICORN_BUILD_DIR"


def build_folder(name: str, home: Path) -> Path:
    """What the build of a native part may fill: ``build/NAME`` of the home, or ``NAME`` of TRICORN_BUILD_DIR, which homes may share."""
    shared = os.environ.get(BUILDS_VARIABLE)
    return (Path(shared).absolute() if shared else home / "build") / name


def native_binary(manifest: Manifest, name: str, home: Path) -> Path:
    """The program of a native part; there once it was built."""
    return build_folder(name, home) / manifest.natives[name].binary
