"""What makes the schemas of an application: the platform's event tables, then each context's own."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import tricorn.events
from tricorn.data.revisions import ContextMigrations, Tool
from tricorn.host.manifest import Manifest, resolve

_EVENTS = Path(tricorn.events.__file__).parent / "migrations"


def migrations(manifest: Manifest, contexts: Sequence[str] | None = None) -> list[ContextMigrations]:
    """The migrations of contexts that have a database; of all of them by default. The manifest is active."""
    wanted = manifest.contexts if contexts is None else {name: manifest.contexts[name] for name in contexts}
    plan = []
    for name, context in wanted.items():
        if not context.database:
            continue
        folder = manifest.migrations(name)
        tool = Tool(resolve(context.migrate), _fingerprint(folder)) if context.migrate else None
        path = folder if tool is None and folder.is_dir() else None
        viewers = tuple(viewer for viewer, native in manifest.natives.items() if name in native.reads)
        plan.append(
            ContextMigrations(name, path, {"tricorn_version": _EVENTS}, tool, tuple(context.extensions), viewers)
        )
    return plan


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
