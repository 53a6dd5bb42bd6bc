"""Evidence that a native gateway is the same as Python's where a client can see it: what the parity suite found, committed beside the sources."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import tricorn.contract
import tricorn.gateway
from tricorn.host.manifest import Manifest
from tricorn.host.references import GATEWAY
from tricorn.prove.fingerprint import contract_fingerprint, native_fingerprint

LEAST_REQUESTS = 500
"""Requests below which evidence does not carry a hand-over."""

_VERSION: Literal[1] = 1
_FOLDER = "evidence"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewayPrints(_Part):
    """SHA-256 of all contracts, of Python's gateway, and of the native one's sources."""

    contracts: str
    python: str
    native: str


class GatewayEvidence(_Part):
    """One run of the whole suite. ``known`` of the ``cases`` differ for a reason that is written down, ``different`` for none."""

    version: Literal[1] = _VERSION
    language: str
    fingerprints: GatewayPrints
    taken: datetime
    cases: int = Field(ge=0)
    requests: int = Field(ge=0)
    known: int = Field(ge=0)
    different: int = Field(ge=0)
    gain: str = ""

    @property
    def same(self) -> int:
        return self.cases - self.known - self.different


@dataclass(frozen=True, slots=True)
class GatewayFreshness:
    """Whether evidence speaks for both gateways as they are now. ``why`` is a sentence for the operator when it does not."""

    fresh: bool
    why: str = ""
    evidence: GatewayEvidence | None = None


def gateway_prints(manifest: Manifest) -> GatewayPrints:
    """Of what is there now; the manifest is active.

    Raises:
        LookupError: ``tricorn.toml`` has no native gateway.
    """
    edge = manifest.edge
    if edge is None:
        raise LookupError("tricorn.toml has no native part that is the gateway")
    contracts = hashlib.sha256("".join(contract_fingerprint(each) for each in sorted(manifest.contracts)).encode())
    rooms = [Path(str(room.__file__)).parent for room in (tricorn.contract, tricorn.gateway)]
    python = hashlib.sha256("".join(native_fingerprint(room.parent, [room.name]) for room in rooms).encode())
    return GatewayPrints(
        contracts=contracts.hexdigest(),
        python=python.hexdigest(),
        native=native_fingerprint(manifest.root, edge.sources),
    )


def gateway_evidence_path(manifest: Manifest, language: str) -> Path:
    """Where it lies, whether there is some or not."""
    return manifest.root / _FOLDER / f"{GATEWAY}.{language}.json"


def save_gateway_evidence(
    manifest: Manifest, language: str, prints: GatewayPrints, *, cases: int, requests: int, known: int, different: int
) -> Path | None:
    """Writes down what a run of the whole suite found, about the sources as they were before it; the manifest is active.

    None, and nothing is written, when they changed since: it speaks for neither.
    """
    if gateway_prints(manifest) != prints:
        return None
    found = GatewayEvidence(
        language=language,
        fingerprints=prints,
        taken=datetime.now(UTC),
        cases=cases,
        requests=requests,
        known=known,
        different=different,
    )
    path = gateway_evidence_path(manifest, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".json.new")
    new.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    new.replace(path)
    return path


def gateway_freshness(manifest: Manifest) -> GatewayFreshness:
    """Whether the native gateway is shown to be the same as Python's, both as they are now; the manifest is active."""
    edge = manifest.edge
    if edge is None:
        return GatewayFreshness(fresh=False, why="tricorn.toml has no native part that is the gateway")
    path = gateway_evidence_path(manifest, edge.language)
    again = f"run `tricorn verify {GATEWAY}`"
    try:
        evidence = GatewayEvidence.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return GatewayFreshness(fresh=False, why=f"nobody has compared the two gateways; {again}")
    except (OSError, ValidationError) as error:
        return GatewayFreshness(fresh=False, why=f"{path.name} is not evidence about a gateway: {error}; {again}")
    against = _speaks_against(evidence, gateway_prints(manifest))
    return GatewayFreshness(not against, f"{against}; {again}" if against else "", evidence)


def _speaks_against(evidence: GatewayEvidence, now: GatewayPrints) -> str:
    then = evidence.fingerprints
    moved = [
        what
        for what, before, today in (
            ("a contract", then.contracts, now.contracts),
            ("the Python gateway", then.python, now.python),
            (f"the {evidence.language} gateway", then.native, now.native),
        )
        if before != today
    ]
    if moved:
        return f"{' and '.join(moved)} changed since the evidence of {evidence.taken:%Y-%m-%d} was taken"
    if evidence.different:
        return f"the evidence speaks against it: {evidence.different} of {evidence.cases} requests are answered differently"
    if evidence.requests < LEAST_REQUESTS:
        return f"the evidence is thin: {evidence.requests} requests, where {LEAST_REQUESTS} are asked for"
    return ""
