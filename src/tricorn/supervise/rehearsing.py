"""A rehearsal: a whole move to the native implementation and back, under a load of its own, in a system that runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tricorn.host.natives import native_binary
from tricorn.host.references import REFERENCE
from tricorn.prove.evidence import evidence_path
from tricorn.prove.fingerprint import contract_fingerprint
from tricorn.prove.load import Load, requests_of
from tricorn.prove.permission import check_native, hash_of
from tricorn.prove.rehearsal import Rehearsal, Stamp
from tricorn.supervise.errors import SuperviseError
from tricorn.wire.bindings import BINDINGS_FILE, REPORTS, parse_bindings

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
    from tricorn.host.targets import Target
    from tricorn.supervise.control import ControlClient

_PATIENCE_SECONDS = 15.0
_LOOK_SECONDS = 600.0
"""What was built anew is looked at before it is moved to."""

_HOLD_SECONDS = 1.0
_POLL_SECONDS = 0.01


def stamp_of(manifest: Manifest, target: Target, language: str, home: Path) -> Stamp:
    """What a rehearsal that is made now would speak for. The application is active.

    Raises:
        ProveError: `tricorn.toml` has no such native part.
    """
    name = check_native(manifest, target, language)
    return Stamp(
        contract=contract_fingerprint(target.contract),
        binary=hash_of(native_binary(manifest, name, home)),
        evidence=hash_of(evidence_path(manifest, target.contract, language)),
    )


@dataclass(frozen=True)
class Where:
    """Where a rehearsal is made.

    Args:
        client: reaches the supervisor of `home`, the system that runs.
        builds: the home whose build of the native part runs there.
        by: who rehearses.
        alone: whether the system was started for it.
    """

    client: ControlClient
    home: Path
    builds: Path
    by: str
    alone: bool


async def rehearse(where: Where, manifest: Manifest, target: Target, language: str) -> Rehearsal:
    """Move every call of a target to `language` and back, in a system that runs, and bind again what was bound before.

    Raises:
        SuperviseError: it cannot be moved now.
        ProveError: there is no load to make, or calls do not follow what is bound.
    """
    client, by, home = where.client, where.by, where.home

    async def order(to: str, **more: Any) -> float:
        """What was ordered last holds everywhere after so many seconds."""
        began = time.monotonic()
        call = partial(client.call, "rehearse", patience=_LOOK_SECONDS, target=target.key, to=to, by=by, **more)
        await asyncio.to_thread(call)
        await _everywhere(home)
        return time.monotonic() - began

    load = Load(home, requests_of(manifest, target))
    facts: dict[str, Any] = {}
    try:
        await order(REFERENCE, language=language)
        await load.choose()
        async with load.running():
            await load.answered_by(REFERENCE, _PATIENCE_SECONDS)
            move = await _both(load, language, order(language))
            await asyncio.sleep(_HOLD_SECONDS)
            back = await _both(load, REFERENCE, order(REFERENCE))
        facts = {
            "language": language,
            "calls": load.calls,
            "failed": load.failed,
            "move": round(move, 3),
            "back": round(back, 3),
        }
    finally:
        await asyncio.to_thread(lambda: client.call("rehearse", target=target.key, to="before", by=by, facts=facts))
    return Rehearsal(
        target=target.key,
        language=language,
        taken=datetime.now(UTC),
        stamp=stamp_of(manifest, target, language, where.builds),
        alone=where.alone,
        calls=load.calls,
        failed=load.failed,
        move=round(move, 3),
        back=round(back, 3),
    )


async def _both(load: Load, implementation: str, ordering: Coroutine[Any, Any, float]) -> float:
    """How long it took until an order held everywhere, and calls that began after it was given were answered accordingly."""
    answering = asyncio.ensure_future(load.answered_by(implementation, _PATIENCE_SECONDS))
    try:
        held = await ordering
    except BaseException:
        answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering
        raise
    return max(held, await answering)


async def _everywhere(home: Path) -> None:
    """Wait until every Python process of a home goes by the bindings as they are.

    Raises:
        SuperviseError: one does not.
    """
    generation = parse_bindings((home / BINDINGS_FILE).read_bytes()).generation
    late: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while late := _behind(home, generation):  # noqa: ASYNC110 - files of other processes
                await asyncio.sleep(_POLL_SECONDS)
    if late:
        raise SuperviseError(
            f"{', '.join(late)} did not take the bindings over within {_PATIENCE_SECONDS:.0f} s",
            remedy=f"read why with `tricorn logs {late[0]}`",
        )


def _behind(home: Path, generation: int) -> list[str]:
    behind = []
    for path in (home / REPORTS).glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_bytes())["generation"] < generation:
                behind.append(path.stem)
    return behind
