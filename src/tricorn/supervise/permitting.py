"""Whether a target may be moved: `python -m tricorn.supervise.permitting --app DIR --home DIR NAME TARGET LANGUAGE [--rehearsed]`.

The supervisor runs it before a rehearsal and, `--rehearsed`, before a cutover, whoever asked, because evidence and rehearsals go stale; the commands
ask the same first. One JSON line goes to the ready pipe: `{"evidence": SHA-256, "rehearsed": time}`, or `{"failed": "...", "remedy": "..."}`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.host.manifest import Manifest, load_manifest
from tricorn.host.targets import Target
from tricorn.prove.errors import ProveError
from tricorn.prove.permission import check_evidence, check_native
from tricorn.prove.rehearsal import check_rehearsal
from tricorn.supervise.life import Life, say
from tricorn.supervise.rehearsing import stamp_of

if TYPE_CHECKING:
    from tricorn.prove.rehearsal import Rehearsal


@dataclass(frozen=True)
class Permission:
    """What a cutover rests on.

    Args:
        statement: what the evidence says.
        evidence: SHA-256 of its file.
    """

    statement: str
    evidence: str
    rehearsal: Rehearsal

    @property
    def rehearsed(self) -> str:
        """When."""
        return self.rehearsal.taken.isoformat(timespec="seconds")


def permission(manifest: Manifest, target: Target, language: str, home: Path) -> Permission:
    """What carries a cutover of a target that begins now; a rehearsal needs as much, but for itself. The application is active.

    Raises:
        ProveError: there is no such native part, no fresh evidence about it, or no rehearsal of the way back.
    """
    check_native(manifest, target, language)
    statement, evidence = check_evidence(manifest, target, language)
    stamp = stamp_of(manifest, target, language, home)
    return Permission(statement, evidence, check_rehearsal(home, target.key, target.short, language, stamp))


def main(words: list[str] | None = None) -> int:
    """Says it of one target as the supervisor asks for it."""
    parser = argparse.ArgumentParser()
    for name in ("name", "target", "language"):
        parser.add_argument(name)
    parser.add_argument("--rehearsed", action="store_true")
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--life-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    said = parser.parse_args(words)
    life = Life(said.life_fd)
    life.wait()
    life.watch()
    manifest = load_manifest(said.app)
    manifest.activate()
    contract, _, method = said.target.partition("/")
    target = Target(contract, method or None)
    try:
        if said.rehearsed:
            given = permission(manifest, target, said.language, said.home)
            say(said.ready_fd, evidence=given.evidence, rehearsed=given.rehearsed)
        else:
            check_native(manifest, target, said.language)
            check_evidence(manifest, target, said.language)
    except ProveError as error:
        say(said.ready_fd, failed=error.what, remedy=error.remedy)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
