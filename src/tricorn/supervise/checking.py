"""Whether a native part may answer: `python -m tricorn.supervise.checking --app DIR --home DIR NAME`.

Plays the conformance cases of its contracts against processes of its own, unless this very program has passed these very
cases before, and asks whether committed evidence speaks for the sources as they are. The supervisor runs it beside the
application, out of its way; one JSON line goes to the ready pipe:
`{"checked": [{"contract", "cases", "passed", "asked", "finding", "fresh", "why", "gain"}]}`; `asked` are the cases that were played now.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tricorn.conformance import load_cases, load_gaps, play
from tricorn.conformance.runner import Outcome
from tricorn.conformance.targets import AsNative
from tricorn.host.manifest import Manifest, load_manifest
from tricorn.host.natives import build_folder, native_binary
from tricorn.host.references import GATEWAY
from tricorn.prove.evidence import freshness
from tricorn.prove.fingerprint import contract_fingerprint
from tricorn.prove.gateways import gateway_freshness
from tricorn.supervise.building import BuildError, is_of_the_sources
from tricorn.supervise.life import Life
from tricorn.telemetry import configure_logging, get_logger

_NICE = 15
_KEPT = "checked.json"
_log = get_logger("tricorn.supervise")


@dataclass
class Played:
    """How the cases of a contract went."""

    cases: int = 0
    passed: int = 0
    finding: str = ""
    """The first case that is answered otherwise than expected, with how."""

    def add(self, outcome: Outcome) -> None:
        self.cases += 1
        if outcome.passed:
            self.passed += 1
            return
        _log.error("a case is answered otherwise", case=outcome.case.id, findings=list(outcome.findings))
        said = f"{outcome.case.id}: {'; '.join(outcome.findings) or 'a known gap is closed'}"
        self.finding = self.finding or said


class Memory:
    """What was found about exactly this program by exactly these cases, when all of them went well: they are not played again at each start."""

    def __init__(self, manifest: Manifest, name: str, home: Path) -> None:
        self._path = build_folder(name, home) / _KEPT
        self._contracts = manifest.natives[name].contracts
        digest = hashlib.sha256(native_binary(manifest, name, home).read_bytes())
        for contract in self._contracts:
            digest.update(contract_fingerprint(contract).encode())
        for path in sorted((manifest.root / "conformance").glob("**/*")):
            if path.is_file():
                digest.update(path.as_posix().encode() + b"\0" + path.read_bytes())
        self._key = digest.hexdigest()

    def recall(self) -> dict[str, Played] | None:
        try:
            said = json.loads(self._path.read_bytes())
            found = {contract: Played(**said["contracts"][contract]) for contract in self._contracts}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if said.get("key") == self._key else None

    def keep(self, outcomes: dict[str, Played]) -> None:
        if any(played.finding or not played.cases for played in outcomes.values()):
            self._path.unlink(missing_ok=True)
            return
        scratch = self._path.with_suffix(f".{os.getpid()}")
        said = {"key": self._key, "contracts": {contract: asdict(played) for contract, played in outcomes.items()}}
        scratch.write_text(json.dumps(said) + "\n")
        scratch.replace(self._path)


async def check(manifest: Manifest, name: str, home: Path) -> list[dict[str, Any]]:
    """What was found about each contract of a built native part. The manifest is active.

    `finding` is the first case that is answered otherwise than expected, with how; empty: none is.

    Raises:
        CaseError: a case file is wrong.
    """
    native = manifest.natives[name]
    found = [_gateway(manifest)] if native.gateway else []
    if native.contracts:
        memory = Memory(manifest, name, home)
        known = memory.recall()
        outcomes = known or await _played(manifest, name, home)
        if known is None:
            memory.keep(outcomes)
        found += [
            {**_judged(manifest, contract, played), "asked": 0 if known else played.cases}
            for contract, played in outcomes.items()
        ]
    other = _of_other_sources(manifest, name, home)
    return [{**each, "fresh": False, "why": other} if other and each["fresh"] else each for each in found]


def _of_other_sources(manifest: Manifest, name: str, home: Path) -> str:
    """Why evidence about the sources says nothing of the program that lies there; empty when it does."""
    try:
        if is_of_the_sources(manifest, name, home):
            return ""
    except BuildError as error:
        return error.what
    return "the program was built of other sources than those that lie there; `tricorn bind TARGET=auto` has it built"


async def _played(manifest: Manifest, name: str, home: Path) -> dict[str, Played]:
    native = manifest.natives[name]
    folder = manifest.root / "conformance"
    gaps = load_gaps(folder / "known_gaps.toml")
    outcomes = {contract: Played() for contract in native.contracts}
    async with AsNative(manifest, native.language, home) as target:
        for case in load_cases(manifest, folder):
            if case.policy.service in outcomes and target.implements(case):
                outcomes[case.policy.service].add(await play(case, target, gaps))
    return outcomes


def _gateway(manifest: Manifest) -> dict[str, Any]:
    """Of the gateway nothing is played here: the suite compares two of them over a whole application."""
    found = gateway_freshness(manifest)
    evidence = found.evidence
    return {
        "contract": GATEWAY,
        "cases": evidence.cases if evidence is not None else 0,
        "passed": evidence.same if evidence is not None else 0,
        "asked": 0,
        "finding": "",
        "fresh": found.fresh,
        "why": found.why,
        "gain": evidence.gain if evidence is not None else "",
    }


def _judged(manifest: Manifest, contract: str, played: Played) -> dict[str, Any]:
    evidence = freshness(manifest, contract)
    return {
        "contract": contract,
        "cases": played.cases,
        "passed": played.passed,
        "finding": played.finding,
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
