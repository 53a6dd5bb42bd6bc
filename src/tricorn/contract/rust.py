"""Makes Rust from the contracts, for the crates that ask for it, with the generator in the platform's own workspace.

A crate asks in its ``Cargo.toml``: ``[package.metadata.tricorn]`` lists ``contracts`` by full name and further proto ``files``. What it gets in
``src/gen`` are the messages that these use, and ``descriptors.binpb``, from which policies, rules and reasons are read at run time.
"""

import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tricorn.contract.codegen import CodegenError, Source, descriptor_set

WORKSPACE = Path(__file__).resolve().parents[3] / "rust"
"""The platform's Rust, in its own repository; elsewhere it is not there."""

UNDEBUGGED: Mapping[str, str] = MappingProxyType({"CARGO_PROFILE_DEV_DEBUG": "none", "CARGO_INCREMENTAL": "0"})
"""Environment of cargo for what nobody steps through: half of what is compiled and written is for debuggers. Where it panicked is said without."""

_GENERATED = Path("src", "gen")
_LIMIT_SECONDS = 1200


@dataclass(frozen=True, slots=True)
class Crate:
    """A crate that asks for code: its folder and what it asks for."""

    folder: Path
    contracts: tuple[str, ...]
    files: tuple[str, ...]


def missing_tool() -> str:
    """What keeps Rust from being made on this machine; empty when nothing does."""
    if shutil.which("cargo") is None:
        return "there is no cargo"
    return "" if WORKSPACE.is_dir() else "the platform is installed without its Rust"


def find_crates(root: Path) -> list[Crate]:
    """The crates below a folder that ask for code."""
    found = []
    for file in sorted(root.rglob("Cargo.toml")):
        if "target" in file.relative_to(root).parts:
            continue
        said: dict[str, Any] = tomllib.loads(file.read_text())
        asked = said.get("package", {}).get("metadata", {}).get("tricorn")
        if asked:
            found.append(Crate(file.parent, tuple(asked.get("contracts", ())), tuple(asked.get("files", ()))))
    return found


def generate(source: Source, crate: Crate, build: Path, *, check: bool) -> list[Path]:
    """The files that differ from what the contracts say. They are written, or removed, unless they are only to be named.

    Args:
        source: The protos that the crate's contracts are in.
        crate: What is asked for.
        build: Where cargo builds the generator.
        check: Change nothing.

    Raises:
        CodegenError: The contracts do not compile, or the generator does not.
    """
    made = _render(source, crate, build)
    folder = crate.folder / _GENERATED
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    changed = [folder / name for name in sorted(made) if not _is(folder / name, made[name])]
    left = [folder / name for name in sorted(present - made.keys())]
    if not check:
        folder.mkdir(parents=True, exist_ok=True)
        for path in changed:
            path.write_bytes(made[path.name])
        for path in left:
            path.unlink()
    return changed + left


def _is(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() == content


def _render(source: Source, crate: Crate, build: Path) -> Mapping[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "gen"
        command = ["cargo", "run", "--quiet", "--locked", "--manifest-path", str(WORKSPACE / "Cargo.toml")]
        command += ["--package", "tricorn-gen", "--", str(out)]
        command += [word for contract in crate.contracts for word in ("--contract", contract)]
        command += [word for file in crate.files for word in ("--file", file)]
        done = subprocess.run(  # noqa: S603 - our own generator on our own contracts
            command,
            input=descriptor_set(source),
            env={**os.environ, **UNDEBUGGED, "CARGO_TARGET_DIR": str(build)},
            capture_output=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise CodegenError(done.stderr.decode(errors="replace").strip())
        return {path.name: path.read_bytes() for path in out.iterdir()}
