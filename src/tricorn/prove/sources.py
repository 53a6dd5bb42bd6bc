"""Which Python files the reference implementation of a contract consists of, found by reading imports, not by importing."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tricorn.host.manifest import Manifest
from tricorn.prove.errors import ProveError


class SourceError(ProveError):
    """Nothing in the application implements a contract in the way that generated bases ask for."""


def owner_of(manifest: Manifest, contract: str) -> str:
    """The context whose contract it is.

    Raises:
        SourceError: No context has it.
    """
    for name, context in manifest.contexts.items():
        if contract in context.contracts:
            return name
    raise SourceError(f"no context of tricorn.toml has the contract {contract}", remedy="name one that it has")


def reference_files(manifest: Manifest, contract: str) -> dict[str, Path]:
    """The modules that implement a contract, with what they import inside the application's own packages, by module name.

    Generated code and the platform are left out, and so is a package's ``__init__`` that is only passed through: what it imports besides is no
    part of the answer.

    Raises:
        SourceError: No module of the contract's context has a class that extends its generated base.
    """
    roots = [(manifest.root / path).resolve() for path in manifest.application.python_path]
    context = manifest.contexts[owner_of(manifest, contract)].package
    base = f"{contract.rpartition('.')[2]}Base"
    begin = [module for module, path in _modules_below(roots, context) if base in _bases(path)]
    if not begin:
        raise SourceError(
            f"no class in the package {context} extends {base}, so nothing is known to implement {contract}",
            remedy="the server of a contract extends its generated base, in the package of the contract's context",
        )
    files: dict[str, Path] = {}
    waiting = list(begin)
    while waiting:
        module = waiting.pop()
        if module in files or module.partition(".")[0] == manifest.application.python_package:
            continue
        path = _path_of(roots, module)
        if path is None:
            continue
        files[module] = path
        waiting.extend(_imported(roots, module, path))
    return dict(sorted(files.items()))


def _modules_below(roots: list[Path], package: str) -> Iterator[tuple[str, Path]]:
    for root in roots:
        for path in sorted((root / package.replace(".", "/")).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _bases(path: Path) -> set[str]:
    """The last names of what the classes of a file extend."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                names.add(
                    base.id if isinstance(base, ast.Name) else base.attr if isinstance(base, ast.Attribute) else ""
                )
    return names


def _path_of(roots: list[Path], module: str) -> Path | None:
    for root in roots:
        path = root / module.replace(".", "/")
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def _imported(roots: list[Path], module: str, path: Path) -> Iterator[str]:
    """What a module names in its imports: ``from a import b`` is ``a.b`` where that is a module, else ``a``."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = _package(module, path, node.level) if node.level else ""
            source = ".".join(filter(None, (package, node.module)))
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if _path_of(roots, inner) else source


def _package(module: str, path: Path, level: int) -> str:
    up = level - 1 if path.name == "__init__.py" else level
    return ".".join(module.split(".")[: len(module.split(".")) - up])
