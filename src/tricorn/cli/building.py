"""Builds a native part for a command that needs it, as the supervisor does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.supervise.errors import SuperviseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tricorn.host.manifest import Manifest


def built(manifest: Manifest, name: str, home: Path, say: Callable[[str], None]) -> None:
    """Builds a part below ``home`` if its sources changed since it was built there; says what goes on.

    Raises:
        SuperviseError: A tool is missing, or the build failed.
    """
    life_reader, life_writer = os.pipe()
    ready_reader, ready_writer = os.pipe()
    with tempfile.NamedTemporaryFile(prefix=f"build-{name}-", suffix=".log", delete=False) as log:
        path = Path(log.name)
    command = [
        sys.executable,
        "-P",
        "-m",
        "tricorn.supervise.building",
        "--app",
        str(manifest.root),
        "--home",
        str(home),
    ]
    command += ["--log", str(path), "--life-fd", str(life_reader), "--ready-fd", str(ready_writer), name]
    source = str(Path(__file__).parents[2])
    paths = os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(command, pass_fds=(life_reader, ready_writer), env={**os.environ, "PYTHONPATH": paths})
    os.close(life_reader)
    os.close(ready_writer)
    os.write(life_writer, json.dumps({"environment": {}}).encode() + b"\n")
    last = ""
    try:
        with os.fdopen(ready_reader) as lines:
            for line in lines:
                told = json.loads(line)
                if "failed" in told:
                    raise SuperviseError(told["failed"], remedy=f"{told['remedy']}; the build's output is in {path}")
                step = told.get("step") or (f"built in {told['built']} s" if told.get("built") else "")
                if step and step != last:
                    last = step
                    say(f"{name}: {step}")
        if process.wait() != 0:
            raise SuperviseError(f"the build of {name} broke off", remedy=f"its output is in {path}")
        path.unlink(missing_ok=True)
    finally:
        os.close(life_writer)
        process.wait()
