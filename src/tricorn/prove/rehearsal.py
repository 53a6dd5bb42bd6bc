"""A rehearsal of the way back, as it is remembered in a home: what was moved there and back, how long that took, and of what it speaks."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tricorn.prove.errors import ProveError

FOLDER = "rehearsals"
_VERSION: Literal[1] = 1


class Stamp(BaseModel):
    """SHA-256 of what a rehearsal was made with; it speaks for nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    contract: str
    binary: str
    evidence: str


class Rehearsal(BaseModel):
    """One move to a native implementation and back, under a load of its own. Times are in seconds.

    ``move`` and ``back`` are from the order to the first answer of the new implementation after which none of the old one came.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = _VERSION
    target: str
    language: str
    taken: datetime
    stamp: Stamp
    alone: bool
    """Whether it was made in a home of its own, because nothing ran."""
    calls: int = Field(ge=0)
    failed: int = Field(ge=0)
    move: float = Field(ge=0)
    back: float = Field(ge=0)


def rehearsal_path(home: Path, target: str, language: str) -> Path:
    """Where the rehearsal of a target (``package.Service`` or ``package.Service/Method``) is remembered."""
    return home / FOLDER / f"{target.replace('/', '.')}.{language}.json"


def save_rehearsal(home: Path, rehearsal: Rehearsal) -> Path:
    """Remember a rehearsal instead of the one before, in one step.

    Raises:
        ProveError: It cannot be written.
    """
    path = rehearsal_path(home, rehearsal.target, rehearsal.language)
    scratch = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(rehearsal.model_dump_json(indent=1) + "\n", encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        raise ProveError(f"{path}: {error.strerror}", remedy="mend that, and rehearse again") from error
    return path


def check_rehearsal(home: Path, target: str, short: str, language: str, stamp: Stamp) -> Rehearsal:
    """The rehearsal that speaks for what `stamp` stands for. One of a whole contract speaks for each of its methods.

    Raises:
        ProveError: There is none, it failed, or something has changed since.
    """
    remedy = f"run `tricorn rehearse {short}` first"
    found = _load(home, target, language, remedy)
    if found is None and "/" in target:
        found = _load(home, target.partition("/")[0], language, remedy)
    if found is None:
        raise ProveError(f"the way back of {short} from {language} was never rehearsed", remedy=remedy)
    names = {"contract": "the contract", "binary": f"the program in {language}", "evidence": "the evidence"}
    changed = [said for name, said in names.items() if getattr(found.stamp, name) != getattr(stamp, name)]
    if changed:
        what = f"{' and '.join(changed)} changed since the way back was rehearsed, {found.taken:%Y-%m-%d %H:%M}"
        raise ProveError(f"{what} ({short})", remedy=remedy)
    if found.failed or not found.calls:
        what = f"{found.failed} of {found.calls} calls failed" if found.calls else "no call was made"
        raise ProveError(f"the last rehearsal of {short} did not go well: {what}", remedy=remedy)
    return found


def _load(home: Path, target: str, language: str, remedy: str) -> Rehearsal | None:
    path = rehearsal_path(home, target, language)
    try:
        found = Rehearsal.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ProveError(f"{path}: not a rehearsal: {error}", remedy=remedy) from error
    return found if (found.target, found.language) == (target, language) else None
