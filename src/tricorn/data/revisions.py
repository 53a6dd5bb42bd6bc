"""Alembic's revision files, read without Alembic: what is the newest, what is known."""

import ast
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tricorn.data.errors import DataError

_ASSIGNMENT = re.compile(r"^(revision|down_revision)\s*(?::[^=\n]+)?=\s*(.+?)\s*(?:#.*)?$", re.MULTILINE)
CONTEXT_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class RevisionFiles:
    """One folder of migrations: its revisions, and the one that nothing follows."""

    path: Path
    revisions: frozenset[str]
    head: str | None


@dataclass(frozen=True, slots=True)
class Tool:
    """A context whose migrations are made by a tool of its own (Django's).

    Args:
        run: called in a thread with a connection URL of the owner role and the schema; migrates to the newest state.
        fingerprint: changes when there is something new to run, e.g. a hash over the migration files.
    """

    run: Callable[[str, str], None]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ContextMigrations:
    """What makes a context's schema.

    Args:
        name: the context, and its schema.
        path: the folder of its Alembic revision files; none when it has no tables of its own or a tool.
        extra: folders of others' tables that this schema gets first, each with the version table it is noted in.
        tool: instead of `path`.
        extensions: PostgreSQL extensions it needs, created by the administrator in the schema `extensions`.
        viewers: who gets a role of its own that may read what this context publishes, and nothing else.
    """

    name: str
    path: Path | None = None
    extra: Mapping[str, Path] = field(default_factory=dict)
    tool: Tool | None = None
    extensions: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()

    def folders(self) -> dict[str, RevisionFiles]:
        """Version table -> revisions, in the order in which they run."""
        paths = {**self.extra, **({CONTEXT_TABLE: self.path} if self.path is not None else {})}
        return {table: read_revisions(path) for table, path in paths.items()}


def read_revisions(path: Path) -> RevisionFiles:
    """The revisions of the files directly in `path`.

    Raises:
        DataError: two revisions follow the same one, a name is used twice, or the folder is missing.
    """
    if not path.is_dir():
        raise DataError("the folder of migrations is missing", where=str(path), remedy="restore it from the repository")
    revisions: set[str] = set()
    followed: set[str] = set()
    for file in sorted(path.glob("*.py")):
        values = {name: _literal(value, file) for name, value in _ASSIGNMENT.findall(file.read_text(encoding="utf-8"))}
        if "revision" not in values:
            continue
        revision = str(values["revision"])
        if revision in revisions:
            raise DataError(f"the revision {revision!r} exists twice", where=str(file), remedy="give one a new number")
        revisions.add(revision)
        before = values.get("down_revision") or ()
        followed.update([before] if isinstance(before, str) else before)
    heads = sorted(revisions - followed)
    if len(heads) > 1:
        raise DataError(
            "several migrations claim to be the newest: " + ", ".join(heads),
            where=str(path),
            remedy="let one follow the other: set its down_revision",
        )
    return RevisionFiles(path, frozenset(revisions), heads[0] if heads else None)


def fingerprint_files(paths: list[Path]) -> str:
    """A hash over the names and contents of the Python files in `paths`, subfolders left out."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.glob("*.py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _literal(text: str, file: Path) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError) as error:
        raise DataError(
            f"a revision must be written as a plain text, not {text!r}",
            where=str(file),
            remedy='write revision = "0001"',
        ) from error
