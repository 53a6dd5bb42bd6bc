"""Builds one native part, in a process of its own: `python -m tricorn.supervise.building --app DIR --home DIR NAME`.

The supervisor runs it; what it finds out goes to the ready pipe as JSON lines: `{"step": "..."}` while the build goes on,
then `{"built": seconds}` (0: nothing had changed) or `{"failed": "...", "remedy": "..."}`. What the build itself writes is
its log. However this process ends, nothing that it started outlives it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from tricorn.host.manifest import Manifest, Native, load_manifest
from tricorn.host.natives import build_folder, native_binary, needs_of, tool_path
from tricorn.prove.fingerprint import native_fingerprint
from tricorn.supervise.life import Life

_STAMP = "built.json"
_LOCK = "build.lock"
_LOOK_SECONDS = 0.2
_SAY_SECONDS = 2.0
_TAIL_BYTES = 4096
_NICE = 15


class BuildError(Exception):
    """A part cannot be built.

    Args:
        what: what is in the way.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class Build:
    """One native part and the folder it is built in.

    Args:
        log: where the build's own output goes: a descriptor, and its path for whoever asks.
    """

    def __init__(self, manifest: Manifest, name: str, home: Path, log: tuple[int, Path]) -> None:
        self._manifest = manifest
        self._name = name
        self._home = home
        self._folder = build_folder(name, home)
        self._binary = native_binary(manifest, name, home)
        self._log, self._log_path = log
        self.changed = False
        """Whether `run` had to build."""

    @property
    def _native(self) -> Native:
        return self._manifest.natives[self._name]

    def run(self) -> Iterator[str]:
        """Build it if its sources changed since it was built; yields what the build says, now and then.

        Raises:
            BuildError: a tool is missing, the build failed, or it made no program.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("w") as lock:
            yield from _locked(lock.fileno())
            if is_of_the_sources(self._manifest, self._name, self._home):
                return
            fingerprint = _fingerprint(self._manifest, self._name)
            self._require_tools()
            self.changed = True
            self._write_stamp("")
            yield from self._build()
            if not self._binary.is_file():
                raise BuildError(
                    f"the build of {self._name} ended well, but there is no {self._native.binary}",
                    f"name what it makes in natives.{self._name}.binary of tricorn.toml",
                )
            self._write_stamp(fingerprint)

    def _require_tools(self) -> None:
        for need in needs_of(self._native):
            if shutil.which(need.tool, path=tool_path()) is None:
                raise BuildError(f"there is no {need.tool}, which the build of {self._name} needs", need.how)

    def _build(self) -> Iterator[str]:
        command = [word.replace("{build}", str(self._folder)) for word in self._native.build]
        with contextlib.suppress(OSError):
            os.nice(_NICE)
        try:
            process = subprocess.Popen(
                command,
                cwd=self._manifest.root / self._native.root,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=self._environment(),
            )
        except OSError as error:
            raise BuildError(
                f"the build of {self._name} could not be started: {command[0]}: {error.strerror}",
                f"mend natives.{self._name}.build of tricorn.toml, or install it",
            ) from error
        said = time.monotonic()
        while process.poll() is None:
            time.sleep(_LOOK_SECONDS)
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                yield _last_line(self._log_path)
        if process.returncode != 0:
            why = _error_line(self._log_path) or f"it ended with status {process.returncode}"
            raise BuildError(
                f"the build of {self._name} failed: {why}", f"read all of it with `tricorn logs build-{self._name}`"
            )

    def _environment(self) -> dict[str, str]:
        # Go would note the state of the repository in the program, and fail where it is another user's.
        flags = os.environ.get("GOFLAGS", "")
        return {
            **os.environ,
            "PATH": tool_path(),
            "CARGO_TARGET_DIR": str(self._folder),
            "CARGO_TERM_COLOR": "never",
            "GOFLAGS": flags if "-buildvcs" in flags else f"{flags} -buildvcs=false".strip(),
            "TRICORN_BUILD": str(self._folder),
        }

    def _write_stamp(self, fingerprint: str) -> None:
        scratch = self._folder / f"{_STAMP}.new"
        scratch.write_text(json.dumps({"version": 1, "fingerprint": fingerprint}) + "\n")
        scratch.replace(self._folder / _STAMP)


def is_of_the_sources(manifest: Manifest, name: str, home: Path) -> bool:
    """Whether the program of a native part is there, and was built of its sources as they are now.

    Raises:
        BuildError: its sources are not there.
    """
    now, folder = _fingerprint(manifest, name), build_folder(name, home)
    try:
        then = json.loads((folder / _STAMP).read_bytes())["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return native_binary(manifest, name, home).is_file() and then == now


def _fingerprint(manifest: Manifest, name: str) -> str:
    native = manifest.natives[name]
    missing = [source for source in native.sources if not (manifest.root / source).exists()]
    if missing:
        raise BuildError(
            f"the sources of {name} are not there: {missing[0]}", f"mend natives.{name}.sources of tricorn.toml"
        )
    how = json.dumps([native.build, native.root, native.binary])
    content = native_fingerprint(manifest.root, native.sources)
    return hashlib.sha256(f"{how}\n{content}".encode()).hexdigest()


def _locked(descriptor: int) -> Iterator[str]:
    """Take the lock on the folder; says so when another build has it."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield "another build of it is under way"
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _tail(path: Path) -> list[str]:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        return [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return []


def _last_line(path: Path) -> str:
    return next(reversed(_tail(path)), "")


def _error_line(path: Path) -> str:
    """The line that says most about a failure: the first that begins as an error, else the last."""
    lines = _tail(path)
    return next((line for line in lines if line.lower().startswith("error")), lines[-1] if lines else "")


def _end_of_group(number: int, _frame: object) -> NoReturn:
    # The build's own children do not hear of a signal to this process: all of the group goes at once.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGKILL)
    os._exit(128 + number)


def main(words: list[str] | None = None) -> int:
    """Runs one build as the supervisor asks for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--life-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    said = parser.parse_args(words)

    def say(**line: Any) -> None:
        os.write(said.ready_fd, json.dumps(line).encode() + b"\n")

    life = Life(said.life_fd)
    with contextlib.suppress(PermissionError):  # the leader of a session leads its group already
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _end_of_group)
    life.wait()
    life.watch()
    began = time.monotonic()
    log = os.open(said.log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_APPEND, 0o600)
    build = Build(load_manifest(said.app), said.name, said.home, (log, said.log))
    try:
        for line in build.run():
            say(step=line)
    except BuildError as error:
        say(failed=error.what, remedy=error.remedy)
        return 1
    say(built=round(time.monotonic() - began, 1) if build.changed else 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
