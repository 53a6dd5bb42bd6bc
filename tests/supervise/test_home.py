from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import pytest

from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home, cannot_write
from tricorn.supervise.usage import pss_bytes, rss_bytes, tree

if TYPE_CHECKING:
    from pathlib import Path


def test_a_home_without_a_supervisor_has_no_state(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")

    assert home.supervisor() is None
    assert home.read_state() is None


def test_state_is_read_while_its_writer_holds_the_lock_and_by_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.lock()
    home.write_state({"pid": os.getpid(), "url": "http://here"})

    assert (Home(home.path).read_state() or {})["url"] == "http://here"
    assert (home.path / "state.json").stat().st_mode & 0o077 == 0
    home.unlock()
    assert Home(home.path).read_state() is None


def test_the_state_of_a_supervisor_that_died_is_not_believed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    (home.path / "state.json").write_text(json.dumps({"pid": 1, "url": "http://gone"}))
    home.lock()

    assert Home(home.path).read_state() is None
    home.unlock()


def test_a_full_disk_is_called_by_its_name(tmp_path: Path) -> None:
    error = cannot_write(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path)

    assert "the disk is full" in error.what
    assert "free some space" in error.remedy


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")

    with pytest.raises(SuperviseError, match="the home cannot be used"):
        Home(tmp_path / "home").make()


def test_memory_of_this_process_is_known_and_of_a_gone_one_is_none() -> None:
    assert tree(os.getpid())[0] == os.getpid()
    assert rss_bytes([os.getpid()]) > 1_000_000
    assert tree(2**22 + 1) == []
    assert rss_bytes([2**22 + 1]) == 0
    assert pss_bytes([2**22 + 1]) is None


def test_a_home_that_is_removed_or_replaced_while_it_is_used_is_noticed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.lock()
    before = home.is_there
    home.path.rename(tmp_path / "elsewhere")
    Home(tmp_path / "home").make()

    assert before
    assert not home.is_there
    home.unlock()


def test_a_state_file_of_another_form_is_not_believed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    home.lock()
    (home.path / "state.json").write_text("[]")

    assert Home(home.path).read_state() is None
    home.unlock()
