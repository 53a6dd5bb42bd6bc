"""The embedded PostgreSQL: a real server on a unix socket, whose life is tied to the process that started it."""

import atexit
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

from tricorn.data.account import Account, account_for
from tricorn.data.binaries import programs
from tricorn.data.cluster import SUPERUSER, ensure_cluster, explain_failure
from tricorn.data.errors import DataError
from tricorn.data.postmaster import Postmaster, find_postmaster, pid_file_stamp
from tricorn.data.sockets import socket_folder

MAX_CONNECTIONS = 150
_LOG_BYTES = 10_000_000
_POLL_SECONDS = 0.01


class EmbeddedPostgres:
    """One data directory and the server on it.

    `start` and `stop` block; both may be called from any thread. Whoever holds a started server holds the directory's
    lock, so two of them never share a directory. When this process dies without `stop`, the kernel (on Linux) stops
    the server; elsewhere, and when that failed too, the next `start` stops what was left running.

    Args:
        data_dir: where the data lives; its parent must exist or be creatable. The server's log is its sibling.
        durable: false turns fsync off, for tests only: a crash of the machine, not of the server, may tear the data.
        max_connections: all processes together.
        start_seconds: how long recovery after a crash may take before `start` gives up.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = True,
        max_connections: int = MAX_CONNECTIONS,
        start_seconds: float = 60.0,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.log_file = self.data_dir.with_name(self.data_dir.name + ".log")
        self.max_connections = max_connections
        self._durable = durable
        self._start_seconds = start_seconds
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._sockets: Path | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self) -> None:
        """Make the data directory if need be, start the server, and return when it takes connections.

        Raises:
            DataError: it cannot; nothing that was there before has been changed.
        """
        if self.running:
            return
        self._take_lock()
        try:
            account = account_for(self.data_dir, [programs()])
            ensure_cluster(self.data_dir, account, durable=self._durable)
            self._stop_leftover()
            self._sockets = socket_folder(self.data_dir, account)
            self._launch(account)
        except OSError as error:
            self._release_lock()
            raise explain_failure(f"{error.strerror}: {error.filename}", self.data_dir) from error
        except BaseException:
            self._release_lock()
            raise
        atexit.register(self.stop)

    def stop(self, *, fast_seconds: float = 10.0, immediate_seconds: float = 5.0) -> None:
        """Fast shutdown (sessions are cut, all is flushed); after its deadline immediate shutdown, then the kill.

        Safe to call twice, and after the server died by itself.
        """
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            Postmaster(process.pid, self.data_dir).stop(
                wait=lambda seconds: _ended(process, seconds),
                fast_seconds=fast_seconds,
                immediate_seconds=immediate_seconds,
            )
        if self._sockets is not None:
            with contextlib.suppress(OSError):
                self._sockets.rmdir()
        self._release_lock()

    def url(self, database: str, user: str = SUPERUSER) -> str:
        """A connection URL for `user`, understood by asyncpg, psycopg, Django and pgx alike."""
        if self._sockets is None:
            raise DataError(
                "the embedded PostgreSQL was not started", where=str(self.data_dir), remedy="start it first"
            )
        return f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self._sockets), safe='')}"

    def admin_url(self, database: str | None = None) -> str:
        return self.url(database or SUPERUSER, SUPERUSER)

    def password(self, role: str) -> None:
        """None: the folder of the socket lets nobody else in."""

    def _take_lock(self) -> None:
        if self._lock is not None:
            return  # still ours: the server died, and is started again
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            lock = self.data_dir.with_name(self.data_dir.name + ".lock").open("a+", encoding="ascii")
        except OSError as error:
            raise DataError(
                f"the folder for the data cannot be used: {error.strerror}",
                where=str(self.data_dir.parent),
                remedy="give it to the user who runs this, or choose another --home",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise DataError(
                f"the data directory is in use by another start of this program (process {holder})",
                where=str(self.data_dir),
                remedy="use that one, stop it first (`tricorn down`), or choose another --home",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _stop_leftover(self) -> None:
        leftover = find_postmaster(self.data_dir)
        if leftover is not None:
            leftover.stop(wait=leftover.wait_until_gone)

    def _launch(self, account: Account) -> None:
        deadline = time.monotonic() + self._start_seconds
        while True:
            offset = self._begin_log()
            stale = pid_file_stamp(self.data_dir)
            process = self._spawn(account)
            if self._became_ready(process, deadline, stale):
                self._process = process
                return
            output = self._log_since(offset)
            # After a postmaster was killed its sessions need a moment to notice; nothing may start before they end.
            lingering = "shared memory block" in output and "still in use" in output
            if not lingering or time.monotonic() > deadline:
                raise explain_failure(output, self.data_dir)
            time.sleep(_POLL_SECONDS * 10)

    def _spawn(self, account: Account) -> subprocess.Popen[bytes]:
        """Start the postmaster from a thread that lives as long as it: the kernel ties a child to the thread."""
        started = threading.Event()
        outcome: list[subprocess.Popen[bytes] | BaseException] = []

        def run() -> None:
            try:
                with self.log_file.open("ab") as log:
                    process = subprocess.Popen(  # noqa: S603 - our own program
                        [str(programs() / "postgres"), "-D", str(self.data_dir), *self._settings()],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        env={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
                        cwd="/",
                        start_new_session=True,  # a terminal's Ctrl-C is ours to pass on, in order
                        preexec_fn=account.prepare(die_with_parent=signal.SIGINT),  # noqa: PLW1509 - only system calls
                    )
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asked
                outcome.append(error)
                started.set()
                return
            outcome.append(process)
            started.set()
            process.wait()

        threading.Thread(target=run, name="postgres", daemon=True).start()
        started.wait()
        result = outcome[0]
        if isinstance(result, BaseException):
            raise DataError(
                f"PostgreSQL cannot be started: {result}", where=str(programs()), remedy="install the package again"
            ) from result
        return result

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": str(self.max_connections),
            "shared_buffers": "128MB",
            "fsync": "on" if self._durable else "off",
            **({"file_copy_method": "clone"} if not self._durable and sys.platform == "linux" else {}),
            "full_page_writes": "on" if self._durable else "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_logical_replication_workers": "0",
            "io_method": "sync",
            "max_wal_size": "512MB",
            "jit": "off",
            "max_parallel_workers_per_gather": "0",  # needs more shared memory than small containers give
            "client_connection_check_interval": "1s",  # a killed client's query, and its locks, end with it
            "timezone": "UTC",
            "log_timezone": "UTC",
            "lc_messages": "C",  # failures are recognised by their words
            "log_min_messages": "warning",
            "log_checkpoints": "off",
            "logging_collector": "off",
            "log_line_prefix": "%m [%p] %q%u@%d ",
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _begin_log(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            if self.log_file.stat().st_size > _LOG_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def _log_since(self, offset: int) -> str:
        with self.log_file.open("rb") as log:
            log.seek(offset)
            return log.read().decode(errors="replace")

    def _became_ready(self, process: subprocess.Popen[bytes], deadline: float, stale: int | None) -> bool:
        """`stale` is the stamp of a pid file left by a crash: in a container the next server often has the same pid."""
        while process.poll() is None:
            found = find_postmaster(self.data_dir)
            is_ours = found is not None and found.pid == process.pid and pid_file_stamp(self.data_dir) != stale
            if found is not None and found.ready and is_ours:
                return True
            if time.monotonic() > deadline:
                Postmaster(process.pid, self.data_dir).stop(wait=lambda seconds: _ended(process, seconds))
                return False
            time.sleep(_POLL_SECONDS)
        return False


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
