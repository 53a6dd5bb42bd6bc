"""Whether a native part may answer: `python -m tricorn.supervise.checking --app DIR --home DIR NAME`.

Plays the conformance cases of its contracts against processes of its own, and asks whether committed evidence speaks for
the sources as they are. The supervisor runs it beside the application, out of its way; one JSON line goes to the ready
pipe: `{"checked": [{"contract", "cases", "passed", "finding", "fresh", "why", "gain"}]}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from tricorn.conformance import load_cases, load_gaps, play
from tricorn.conformance.runner import Outcome
from tricorn.conformance.targets import AsNative
from tricorn.host.manifest import Manifest, load_manifest
from tricorn.prove.evidence import freshness
from tricorn.supervise.life import Life
from tricorn.telemetry import configure_logging, get_logger

_NICE = 15
_log = get_logger("tricorn.supervise")


async def check(manifest: Manifest, name: str, home: Path) -> list[dict[str, Any]]:
    """What was found about each contract of a built native part. The manifest is active.

    `finding` is the first case that is answered otherwise than expected, with how; empty: none is.

    Raises:
        CaseError: a case file is wrong.
    """
    native = manifest.natives[name]
    folder = manifest.root / "conformance"
    gaps = load_gaps(folder / "known_gaps.toml")
    outcomes: dict[str, list[Outcome]] = {contract: [] for contract in native.contracts}
    async with AsNative(manifest, native.language, home) as target:
        for case in load_cases(manifest, folder):
            if case.policy.service in outcomes and target.implements(case):
                outcomes[case.policy.service].append(await play(case, target, gaps))
    return [_judged(manifest, contract, played) for contract, played in outcomes.items()]


def _judged(manifest: Manifest, contract: str, outcomes: list[Outcome]) -> dict[str, Any]:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        _log.error("a case is answered otherwise", case=outcome.case.id, findings=list(outcome.findings))
    evidence = freshness(manifest, contract)
    first = failed[0] if failed else None
    return {
        "contract": contract,
        "cases": len(outcomes),
        "passed": len(outcomes) - len(failed),
        "finding": f"{first.case.id}: {'; '.join(first.findings) or 'a known gap is closed'}" if first else "",
        "fresh": evidence.fresh,
        "why": evidence.why,
        "gain": evidence.evidence.gain if evidence.evidence is not None else "",
    }


def main(words: list[str] | None = None) -> int:
    """Checks one part as the supervisor asks for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--app", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--life-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    said = parser.parse_args(words)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    life = Life(said.life_fd)
    life.wait()
    life.watch()
    configure_logging(f"check-{said.name}", level="error")
    manifest = load_manifest(said.app)
    manifest.activate()
    found = asyncio.run(check(manifest, said.name, said.home))
    os.write(said.ready_fd, json.dumps({"checked": found}).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
