"""What tests of native shapes need: the tools that build the engine, and builds that outlive a run."""

import os
import shutil

import pytest
from shop import ROOT

BUILD_SECONDS = 1800.0
"""How long `up` may take where nothing is built yet."""

_MISSING = [tool for tool in ("cargo", "cc") if shutil.which(tool) is None]
needs_tools = pytest.mark.skipif(
    bool(_MISSING), reason=f"the engine is built with cargo and cc, and there is no {' and no '.join(_MISSING)}"
)


def shared_builds() -> dict[str, str]:
    """The environment in which what is built is kept in the repository, where the next run finds it."""
    return {"TRICORN_BUILD_DIR": os.environ.get("TRICORN_BUILD_DIR", str(ROOT / ".tricorn" / "build"))}
