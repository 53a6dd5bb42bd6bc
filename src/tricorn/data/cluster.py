"""A data directory: made whole or not at all, and never touched when another version made it."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tricorn.data.account import Account
from tricorn.data.binaries import major_version, programs
from tricorn.data.errors import DataError

SUPERUSER = "postgres"
_INITDB_SECONDS = 120


def ensure_cluster(data_dir: Path, account: Account, *, durable: bool) -> bool:
    """Make `data_dir` if it is not there yet; true when it was made. The caller holds the directory's lock.

    It is made beside its place and renamed into it, so an interrupted first start leaves nothing half made; what such
    a start left beside it is removed here.

    Raises:
        DataError: another major version made it, it is not PostgreSQL's, or it cannot be made.
    """
    _remove_leftovers(data_dir)
    try:
        if data_dir.exists() and any(data_dir.iterdir()):
            _check_version(data_dir)
            return False
    except PermissionError as error:
        raise explain_failure(f"Permission denied: {error.filename}", data_dir) from error
    scratch = Path(tempfile.mkdtemp(prefix=f".{data_dir.name}.initdb-", dir=data_dir.parent))
    try:
        account.own(scratch)
        _initdb(scratch, account, durable=durable)
        if data_dir.exists():
            data_dir.rmdir()
        scratch.rename(data_dir)
        _flush(data_dir.parent)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    # Again: the initdb of a start that was killed a moment ago may have been writing until now.
    _remove_leftovers(data_dir)
    return True


def _remove_leftovers(data_dir: Path) -> None:
    for leftover in data_dir.parent.glob(f".{data_dir.name}.initdb-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _check_version(data_dir: Path) -> None:
    try:
        found = (data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise DataError(
            "this folder is not empty and is not a data directory of PostgreSQL",
            where=str(data_dir),
            remedy="choose another --home, or move what is in it away",
        ) from None
    if found != str(major_version()):
        raise DataError(
            f"the data directory was made by PostgreSQL {found}, this is PostgreSQL {major_version()}",
            where=str(data_dir),
            remedy=f"carry the data over (pg_dump of version {found}, then restore), or choose another --home;"
            " nothing was changed",
        )


def _initdb(folder: Path, account: Account, *, durable: bool) -> None:
    command = [
        str(programs() / "initdb"),
        f"--pgdata={folder}",
        f"--username={SUPERUSER}",
        "--auth=trust",  # the only way in is a socket in a folder of mode 0700
        "--encoding=UTF8",
        # The built-in provider sorts by code point and knows Unicode's cases, the same on every system.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--text-search-config=english",
        *([] if durable else ["--no-sync"]),
    ]
    result = subprocess.run(  # noqa: S603 - our own program
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=_INITDB_SECONDS,
        env={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
        cwd="/",
        start_new_session=True,
        preexec_fn=account.prepare(die_with_parent=signal.SIGTERM),
    )
    if result.returncode != 0:
        raise explain_failure(result.stdout.decode(errors="replace"), folder)


def explain_failure(output: str, folder: Path) -> DataError:
    """What PostgreSQL's own words mean for whoever started it."""
    if "No space left on device" in output:
        return DataError(
            "the disk is full", where=str(folder), remedy="free some space (a new database takes 60 MB) and start again"
        )
    if "Permission denied" in output:
        return DataError(
            "PostgreSQL may not read or write a file it needs: " + _last_line(output),
            where=str(folder),
            remedy="give the folder to the user who runs this, or choose another --home",
        )
    return DataError("PostgreSQL does not start: " + _last_line(output), where=str(folder), remedy="see its log above")


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error" in line.lower()]
    return (telling or lines or ["it said nothing"])[-1]


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
