"""Makes what a ``buf.gen.yaml`` lists: code of other languages, by the plugins that it names, each installed on this machine.

A plugin is a command of its own (``[go, tool, protoc-gen-go]``), so that its version stands where the language keeps versions. Nothing is sent
to or fetched from buf's registry.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tricorn.contract.codegen import CodegenError, descriptor_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tricorn.contract.codegen import Source

_IN_REPOSITORY = Path(__file__).resolve().parents[3] / "go" / "tricorn"

GO_PLATFORM = _IN_REPOSITORY if _IN_REPOSITORY.is_dir() else Path(__file__).resolve().parents[1] / "go"
"""The source of the platform's Go: in its own repository, else where the wheel puts it. A part in Go says ``replace tricorn =>`` this."""

TEMPLATE = "buf.gen.yaml"

_MADE = ("*.pb.go", "*.pb.gw.go", "*.connect.go")
_LIMIT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Template:
    """A ``buf.gen.yaml``: where it lies, the folder that all its outputs are in, its plugins' programs and its outputs."""

    file: Path
    root: Path
    programs: frozenset[str]
    outputs: tuple[Path, ...]


def read_template(file: Path, root: Path) -> Template | None:
    """What a file lists; None when there is no such file, or it lists no plugin.

    Raises:
        CodegenError: It is not of the form that is expected, or writes outside ``root``.
    """
    if not file.exists():
        return None
    try:
        plugins: list[dict[str, Any]] = yaml.safe_load(file.read_text()).get("plugins") or []
        programs = frozenset(_program(each["local"]) for each in plugins)
        outputs = sorted({(file.parent / each["out"]).resolve() for each in plugins})
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, IndexError) as error:
        message = f"{file}: a list of plugins, each with `local` and `out`, is expected ({error!r})"
        raise CodegenError(message) from error
    if outside := [str(each) for each in outputs if not each.is_relative_to(root.resolve())]:
        message = f"{file}: writes outside {root}: {', '.join(outside)}"
        raise CodegenError(message)
    return Template(file, root.resolve(), programs, tuple(outputs)) if plugins else None


def missing_program(template: Template) -> str:
    """What keeps a template from being carried out on this machine; empty when nothing does."""
    return ", ".join(f"there is no {name}" for name in sorted(template.programs) if shutil.which(name) is None)


def generate(source: Source, template: Template, *, check: bool) -> list[Path]:
    """The files that differ from what the contracts say. They are written, or removed, unless they are only to be named.

    Raises:
        CodegenError: The contracts do not compile, or a plugin fails.
    """
    made = _render(source, template)
    present = {path for folder in template.outputs for path in _existing(folder)}
    changed = [path for path, content in sorted(made.items()) if not path.exists() or path.read_bytes() != content]
    left = sorted(present - made.keys())
    if not check:
        for path in changed:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made[path])
        for path in left:
            path.unlink()
    return changed + left


def _program(command: str | list[str]) -> str:
    return command if isinstance(command, str) else command[0]


def _existing(folder: Path) -> Iterator[Path]:
    """What an earlier run made, known by its name."""
    for ending in _MADE:
        yield from folder.rglob(ending)


def _render(source: Source, template: Template) -> dict[Path, bytes]:
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if buf is None:
        message = f"{template.file} lists plugins, and there is no buf: install buf-bin"
        raise CodegenError(message)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder).resolve()
        # Outputs are relative to the template, so the copy of its folder lies as deep.
        base = out / template.file.parent.resolve().relative_to(template.root)
        base.mkdir(parents=True, exist_ok=True)
        # An image, not the folder: only it holds the protos of the platform, wherever that is installed.
        command = [buf, "generate", "-#format=binpb", "--template", str(template.file.resolve()), "--output", str(base)]
        done = subprocess.run(  # noqa: S603 - the compiler on our own contracts
            [*command, "--path", source.package],
            cwd=template.file.parent,
            input=descriptor_set(source),
            capture_output=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )
        if done.returncode:
            raise CodegenError(f"{template.file}: {done.stderr.decode(errors='replace').strip()}")
        files = [path for path in out.rglob("*") if path.is_file()]
        return {template.root / path.relative_to(out): path.read_bytes() for path in files}
