"""Whether a target may be moved at all: by what its contract says, by the evidence, and by the rehearsal of the way back."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.contract import MethodPolicy, service_policies
from tricorn.host.references import REFERENCE
from tricorn.prove.cutover import ALL, DEFAULT_STEPS
from tricorn.prove.errors import ProveError
from tricorn.prove.evidence import evidence_path, freshness
from tricorn.wire.split import why_whole

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
    from tricorn.host.targets import Target


def methods_of(target: Target) -> list[MethodPolicy]:
    """What a target moves. The application is active."""
    return [policy for policy in service_policies(target.contract) if target.method in {None, policy.name}]


def check_steps(target: Target, steps: tuple[int, ...], *, shared: bool) -> list[str]:
    """What the operator should know of methods that cannot be divided: they stay with Python until the last step.

    Raises:
        ProveError: Nothing of the target may be divided, and steps below 100 % are asked for.
    """
    whole = {policy.name: why_whole(policy, shared=shared) for policy in methods_of(target)}
    if steps == (ALL,):
        return []
    if all(whole.values()):
        reasons = "; ".join(f"{name}: {why}" for name, why in whole.items())
        raise ProveError(
            f"the calls of {target.short} cannot be divided ({reasons})",
            remedy="move all of them at once, with --steps 100",
        )
    return [f"{name} stays in {REFERENCE} until the last step: {why}" for name, why in whole.items() if why]


def default_steps(target: Target, *, shared: bool) -> str:
    """The steps of whoever names none: all at once where no call may be divided, as of most methods with effects."""
    divided = any(not why_whole(policy, shared=shared) for policy in methods_of(target))
    return DEFAULT_STEPS if divided else "100"


def check_native(manifest: Manifest, target: Target, language: str) -> str:
    """The name of the native part that a target would move to.

    Raises:
        ProveError: `tricorn.toml` has none of this contract in that language.
    """
    if language == REFERENCE:
        raise ProveError(
            f"{REFERENCE} is where {target.short} comes from", remedy=f"to go back: `tricorn rollback {target.short}`"
        )
    for name, native in manifest.natives.items():
        if native.language == language and target.contract in native.contracts:
            return name
    there = manifest.native_of(target.contract)
    raise ProveError(
        f"tricorn.toml has no native part in {language} that answers {target.contract}",
        remedy=f"choose --to {there.language}" if there else "add one under [natives]",
    )


def check_evidence(manifest: Manifest, target: Target, language: str) -> tuple[str, str]:
    """What the evidence says, and its hash.

    Raises:
        ProveError: There is none that speaks for the sources as they are.
    """
    found = freshness(manifest, target.contract)
    if not found.fresh:
        raise ProveError(
            f"{target.short} is not shown to be the same in {language}: {found.why}",
            remedy="nothing was moved; a cutover needs fresh evidence",
        )
    return found.why, hash_of(evidence_path(manifest, target.contract, language))


def hash_of(path: Path) -> str:
    """SHA-256 of a file; empty when it cannot be read."""
    try:
        return sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
