"""Making a data directory: whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.data import DataError, EmbeddedPostgres
from tricorn.data.cluster import explain_failure

_FIRST_START = """
import sys
from pathlib import Path
from tricorn.data import EmbeddedPostgres
print("starting", flush=True)
EmbeddedPostgres(Path(sys.argv[1])).start()
print("started", flush=True)
"""


def test_a_directory_of_another_major_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "postgres"
    data_dir.mkdir()
    (data_dir / "PG_VERSION").write_text("15\n", encoding="ascii")

    with pytest.raises(DataError, match="made by PostgreSQL 15") as failure:
        EmbeddedPostgres(data_dir).start()

    assert str(data_dir) in failure.value.where
    assert [file.name for file in data_dir.iterdir()] == ["PG_VERSION"]


def test_a_directory_with_other_things_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "photos"
    data_dir.mkdir()
    (data_dir / "cat.jpg").write_bytes(b"meow")

    with pytest.raises(DataError, match="not a data directory"):
        EmbeddedPostgres(data_dir).start()

    assert [file.name for file in data_dir.iterdir()] == ["cat.jpg"]


def test_an_empty_directory_may_be_there_already(tmp_path: Path) -> None:
    data_dir = tmp_path / "postgres"
    data_dir.mkdir()
    server = EmbeddedPostgres(data_dir, durable=False)

    server.start()

    assert server.running
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_first_start_that_was_interrupted_leaves_nothing_half_made(tmp_path: Path, number: signal.Signals) -> None:
    data_dir = tmp_path / "postgres"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _FIRST_START, str(data_dir)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"starting\n"
        while not list(tmp_path.glob(".postgres.initdb-*/base")):
            assert first.poll() is None, "it was too fast to be interrupted"
        first.send_signal(number)
        assert first.stdout.read() == b""

    assert not data_dir.exists()
    server = EmbeddedPostgres(data_dir, durable=False)
    server.start()
    server.stop()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["postgres", "postgres.lock", "postgres.log"]


def test_a_parent_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")

    with pytest.raises(DataError, match="cannot be used") as failure:
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()

    assert failure.value.where == str(tmp_path / "file")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ('FATAL:  could not extend file "base/1/2": No space left on device', "the disk is full"),
        ("initdb: error: could not access directory: Permission denied", "may not read or write"),
        ("LOG:  starting\nFATAL:  something new\nLOG:  done", "FATAL:  something new"),
        ("", "it said nothing"),
    ],
)
def test_what_postgresql_says_is_put_into_words_a_reader_can_act_on(output: str, words: str, tmp_path: Path) -> None:
    assert words in explain_failure(output, tmp_path).what
