"""The folders of unix sockets: short, private, and the same for the same data directory or home."""

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
    folder = _parent(shared=account.switch) / f"pg-{_mark(data_dir)}"
    _check_length(folder, _SOCKET)
    _make_private(folder, account.uid, 0o700, account)
    return folder


def process_folder(home: Path, longest: str) -> Path:
    """Make the folder in which the processes of a home put their sockets, the longest name of which is given; only this user may enter.

    Raises:
        DataError: as for `socket_folder`.
    """
    folder = _parent(shared=os.geteuid() == 0) / f"run-{_mark(home)}"
    _check_length(folder, f"/{longest}.lock")
    _make_private(folder, os.geteuid(), 0o700)
    return folder


def _mark(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:10]


def _check_length(folder: Path, socket: str) -> None:
    if len(os.fsencode(str(folder) + socket)) > _LONGEST_PATH:
        raise DataError(
            "the folder for temporary files has too long a name for a unix socket",
            where=str(folder),
            remedy="set TMPDIR to a shorter path, e.g. TMPDIR=/tmp",
        )


def _parent(*, shared: bool) -> Path:
    """This user's folder for sockets; `shared`: with the account that root lends to PostgreSQL, which must pass through."""
    parent = _base(shared=shared) / f"tricorn-{os.geteuid()}"
    _make_private(parent, os.geteuid(), 0o711 if shared else 0o700)
    return parent


def _base(*, shared: bool) -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and not shared and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime)
    return Path("/tmp") if shared else Path(tempfile.gettempdir())  # noqa: S108 - ownership is checked below


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
