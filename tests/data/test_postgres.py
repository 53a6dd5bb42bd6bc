"""The embedded server: starting, stopping, crashing, and what it refuses."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tricorn.data import DataError, EmbeddedPostgres
from tricorn.data.account import account_for
from tricorn.data.binaries import programs
from tricorn.data.postmaster import find_postmaster
from tricorn.data.sockets import socket_folder

pytestmark = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no embedded server here")

_SUPERVISOR = """
import sys
from pathlib import Path
from tricorn.data import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
server.start()
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    yield server
    server.stop()


async def query(server: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(server.admin_url())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def wait_until_gone(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([handle], [], [], 30)
    finally:
        os.close(handle)
    assert ended, f"process {pid} still runs"


async def test_what_was_written_is_there_after_a_stop_and_a_start(server: EmbeddedPostgres) -> None:
    await query(server, "create table kept as select 7 as number")

    server.stop()
    server.start()

    assert await query(server, "select number from kept") == 7


async def test_what_was_committed_is_there_after_the_server_was_killed(server: EmbeddedPostgres) -> None:
    await query(server, "create table kept as select 7 as number")
    assert server.pid is not None

    os.kill(server.pid, signal.SIGKILL)
    server._process.wait(30)  # type: ignore[union-attr]
    assert not server.running
    server.start()

    assert await query(server, "select number from kept") == 7


async def test_text_sorts_by_code_point_and_knows_the_cases_of_all_letters(server: EmbeddedPostgres) -> None:
    assert await query(server, "select string_agg(t, '' order by t) from unnest(array['b','a','B','É']) t") == "BabÉ"
    assert await query(server, "select upper('é') || lower('Ü')") == "Éü"


async def test_nobody_reaches_the_server_over_the_network(server: EmbeddedPostgres) -> None:
    assert await query(server, "show listen_addresses") == ""
    assert server._sockets is not None
    assert server._sockets.stat().st_mode & 0o077 == 0


async def test_a_stopped_server_leaves_no_process_and_no_socket(server: EmbeddedPostgres) -> None:
    pid, sockets = server.pid, server._sockets
    assert pid is not None
    assert sockets is not None

    server.stop()

    assert find_postmaster(server.data_dir) is None
    assert not sockets.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_ctrl_c_in_the_terminal_does_not_reach_the_server_by_itself(server: EmbeddedPostgres) -> None:
    assert server.pid is not None

    assert os.getsid(server.pid) != os.getsid(0)


def test_a_second_start_on_the_same_directory_is_refused_and_names_the_first(server: EmbeddedPostgres) -> None:
    with pytest.raises(DataError, match=f"in use by another start .*process {os.getpid()}"):
        EmbeddedPostgres(server.data_dir).start()

    assert server.running


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_the_server_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUPERVISOR, str(tmp_path / "postgres")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())

        supervisor.kill()

        wait_until_gone(pid)


def test_a_start_right_after_the_crash_of_another_succeeds(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SUPERVISOR, str(tmp_path / "postgres")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as supervisor:
        assert supervisor.stdout is not None
        supervisor.stdout.readline()

        supervisor.kill()
        supervisor.wait()
        server.start()

    assert server.running
    server.stop()


def test_a_server_left_running_by_a_crashed_start_is_replaced(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    server.start()
    server.stop()
    account = account_for(server.data_dir, [programs()])
    sockets = socket_folder(server.data_dir, account)
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={sockets}"]
    with subprocess.Popen(
        [programs() / "postgres", "-D", server.data_dir, *options],
        stderr=subprocess.DEVNULL,
        preexec_fn=account.prepare(die_with_parent=None),  # noqa: PLW1509 - only system calls in it
    ) as left:
        while (found := find_postmaster(server.data_dir)) is None or not found.ready:
            assert left.poll() is None
            time.sleep(0.01)

        server.start()

        assert left.wait(30) == 0
        assert server.pid != left.pid
        assert server.running
    server.stop()


def test_a_stale_pid_file_with_the_number_of_another_process_does_not_matter(server: EmbeddedPostgres) -> None:
    server.stop()
    stale = f"{os.getpid()}\n{server.data_dir}\n0\n5432\n/nowhere\n\n\nready   \n"
    (server.data_dir / "postmaster.pid").write_text(stale, encoding="ascii")

    server.start()

    assert server.running
