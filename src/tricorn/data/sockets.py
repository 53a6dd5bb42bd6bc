"""The folder of a server's unix socket: short, private, and the same for the same data directory."""

import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from tricorn.data.account import Account
from tricorn.data.errors import DataError

_LONGEST_PATH = 103 if sys.platform == "darwin" else 107
_SOCKET = "/.s.PGSQL.5432.lock"


def socket_folder(data_dir: Path, account: Account) -> Path:
    """Make the folder in which the server for `data_dir` puts its socket; only its account (and root) may enter.

    Raises:
        DataError: the place is somebody else's, or its path is too long for a socket.
    """
    name = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:10]
    parent = _base(account) / f"tricorn-{os.geteuid()}"
    folder = parent / f"pg-{name}"
    if len(os.fsencode(str(folder) + _SOCKET)) > _LONGEST_PATH:
        raise DataError(
            "the folder for temporary files has too long a name for a unix socket",
            where=str(folder),
            remedy="set TMPDIR to a shorter path, e.g. TMPDIR=/tmp",
        )
    _make_private(parent, os.geteuid(), 0o711 if account.switch else 0o700)
    _make_private(folder, account.uid, 0o700, account)
    return folder


def _base(account: Account) -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and not account.switch and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime)
    return Path("/tmp") if account.switch else Path(tempfile.gettempdir())  # noqa: S108 - ownership is checked below


def _make_private(folder: Path, uid: int, mode: int, account: Account | None = None) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if account is not None and not folder.is_symlink():
            account.own(folder)
    except OSError as error:
        raise DataError(
            f"the folder for sockets cannot be made: {error.strerror}",
            where=str(folder),
            remedy="set TMPDIR to another",
        ) from error
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
        raise DataError(
            "the folder for sockets belongs to somebody else",
            where=str(folder),
            remedy="remove it, or set TMPDIR to a folder of your own",
        )
    folder.chmod(mode)
