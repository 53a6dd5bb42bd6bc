"""Evidence: what `verify` found about a contract's native implementation, as a file that is committed beside the sources.

Whoever moves traffic asks `freshness` first: evidence speaks only for the sources that it was taken of.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tricorn.host.manifest import Manifest
from tricorn.host.targets import short_name
from tricorn.prove.effects_of import has_effects
from tricorn.prove.fingerprint import Fingerprints, fingerprints
from tricorn.prove.sources import SourceError

__all__ = [
    "LEAST_COMPARISONS",
    "EffectsFound",
    "Evidence",
    "EvidenceError",
    "Fingerprints",
    "Freshness",
    "HistoryCount",
    "MutantsFound",
    "Prints",
    "SourceCount",
    "evidence_path",
    "fingerprints",
    "freshness",
    "load_evidence",
    "save_evidence",
]

VERSION: Literal[1] = 1
FOLDER = "evidence"
LEAST_COMPARISONS = 3_000
"""Generated inputs below which evidence does not carry a move: with none different, 0.1 % may still differ at 95 % confidence."""


REFERENCE_ALONE, CANDIDATE_ALONE, MIXED = "reference", "candidate", "mixed"
"""Modes of histories: who answers. Before anything is moved both implementations must have been seen at work on the same rows."""

LEAST_WINDOWS = 20
LEAST_ACROSS = 100
"""Windows of each mode, and pairs of calls that both implementations were busy with at once, below which evidence does not carry a move."""


class EvidenceError(ValueError):
    """A file of evidence cannot be read; the text says which and why."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Prints(_Part):
    """What was hashed when the evidence was taken; see `Fingerprints`."""

    contract: str
    reference: str
    native: str


class SourceCount(_Part):
    """Inputs of one kind: ``cases``, ``recordings`` or ``generated``; and how many of them were answered differently."""

    compared: int = Field(ge=0)
    different: int = Field(ge=0)


class MutantsFound(_Part):
    """Faults planted in the reference. ``survivors`` are ``file:line: what was changed`` of those that no input showed, ``equivalent`` the
    number of those that are claimed to change nothing.
    """

    planted: int = Field(ge=0)
    killed: int = Field(ge=0)
    equivalent: int = Field(ge=0)
    of: int = Field(ge=0)
    """How many there are to plant; ``planted`` is a sample of them."""
    survivors: list[str] = []
    never_entered: list[str] = []
    """Functions that no input reaches; mutants there are not among ``of``."""


class HistoryCount(_Part):
    """Windows of calls at once, in one mode: which implementations answered."""

    windows: int = Field(ge=0)
    calls: int = Field(ge=0)
    overlapping: int = Field(ge=0)
    """Pairs of calls of one window that overlapped in time."""
    across: int = Field(ge=0)
    """Of these, pairs that two implementations answered."""
    impossible: int = Field(ge=0)
    undecided: int = Field(ge=0)
    unknown: int = Field(ge=0)
    """Calls of which nobody knows whether they happened."""
    looks: int = Field(ge=0)
    """How often the invariants were looked at."""
    broken: int = Field(default=0, ge=0)
    """How often one of them did not hold; the first few times are counted."""


class EffectsFound(_Part):
    """What was compared of a contract with effects, besides answers."""

    sequences: int = Field(ge=0)
    at_once: int = Field(ge=0)
    """Of them, how many were played beside others on the same database."""
    states: int = Field(ge=0)
    states_different: int = Field(ge=0)
    only_at_once: int = Field(default=0, ge=0)
    """Groups of sequences that differ only when they are played at once."""
    unsteady: int = Field(default=0, ge=0)
    """Sequences after which the reference itself, asked again, leaves another state."""
    queries: list[str] = []
    """What was compared as state."""
    histories: dict[str, HistoryCount] = {}
    """By mode: ``reference``, ``candidate``, ``mixed``."""
    invariants: int = Field(ge=0)
    """How many there are."""


class Evidence(_Part):
    """One run of `verify` over all methods of a contract."""

    version: Literal[1] = VERSION
    contract: str
    language: str
    fingerprints: Prints
    taken: datetime
    seed: int
    sources: dict[str, SourceCount]
    confidence: float
    differ_below: float
    """The one-sided Clopper-Pearson bound at ``confidence`` of the share of generated inputs that are answered differently."""
    not_comparable: dict[str, int] = {}
    asked_twice: int = Field(ge=0)
    unsteady: int = Field(ge=0)
    """Of those asked twice, how many the reference answered differently itself."""
    ignored_share: float
    """Of the bytes of the answers, what field policies leave out of the comparison."""
    mutants: MutantsFound | None = None
    effects: EffectsFound | None = None
    """Only of a contract with effects."""
    fields_never_set: list[str] = []
    enum_values_never_seen: list[str] = []
    gain: str = ""
    """What was timed besides, in a few words, "20-line basket 38 ms -> 0.4 ms"; said when the part is bound. Empty: nothing was."""
    statement: str

    @property
    def different(self) -> int:
        return sum(count.different for count in self.sources.values())

    @property
    def generated(self) -> int:
        return self.sources["generated"].compared if "generated" in self.sources else 0


class Freshness(_Part):
    """Whether evidence speaks for what is there now. ``why`` is a sentence for the operator, also when it does."""

    fresh: bool
    why: str
    evidence: Evidence | None = None


def evidence_path(manifest: Manifest, contract: str, language: str) -> Path:
    """Where the evidence about a contract's implementation lies, whether there is some or not."""
    return manifest.root / FOLDER / f"{short_name(contract)}.{language}.json"


def load_evidence(manifest: Manifest, contract: str, language: str) -> Evidence | None:
    """The evidence about a contract's implementation; None when none was taken.

    Raises:
        EvidenceError: The file is not of the form, or of another contract.
    """
    path = evidence_path(manifest, contract, language)
    try:
        evidence = Evidence.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise EvidenceError(f"{path}: not evidence of `verify`: {error}") from error
    if (evidence.contract, evidence.language) != (contract, language):
        raise EvidenceError(f"{path}: is about {evidence.contract} in {evidence.language}")
    return evidence


def save_evidence(manifest: Manifest, evidence: Evidence) -> Path:
    """Writes evidence to its place, in one step."""
    path = evidence_path(manifest, evidence.contract, evidence.language)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".json.new")
    new.write_text(evidence.model_dump_json(indent=1) + "\n", encoding="utf-8")
    new.replace(path)
    return path


def freshness(manifest: Manifest, contract: str) -> Freshness:
    """Whether a contract's native implementation is shown to be the same as its reference, both as they are now."""
    native = manifest.native_of(contract)
    name = short_name(contract)
    if native is None:
        return Freshness(fresh=False, why=f"tricorn.toml has no native part for {contract}")
    evidence = None
    try:
        evidence = load_evidence(manifest, contract, native.language)
        if evidence is None:
            against = f"nobody has verified {name} in {native.language}"
        else:
            against = _speaks_against(evidence, fingerprints(manifest, contract, native))
            if not against and has_effects(manifest, contract):
                against = _effects_speak_against(evidence.effects)
    except EvidenceError as error:
        against = str(error)
    except SourceError as error:
        against = error.what
    if against or evidence is None:
        return Freshness(fresh=False, why=f"{against}; run `tricorn verify {name}`", evidence=evidence)
    return Freshness(fresh=True, why=evidence.statement, evidence=evidence)


def _speaks_against(evidence: Evidence, now: Fingerprints) -> str:
    """What is wrong with evidence, for sources with these fingerprints; empty when it carries a move."""
    then = evidence.fingerprints
    moved = [
        what
        for what, before, today in (
            ("the contract", then.contract, now.contract),
            ("the reference", then.reference, now.reference),
            (f"the {evidence.language} sources", then.native, now.native),
        )
        if before != today
    ]
    if moved:
        return f"{' and '.join(moved)} changed since the evidence of {evidence.taken:%Y-%m-%d} was taken"
    if evidence.different or evidence.unsteady:
        return f"the evidence speaks against it: {evidence.different} inputs differ, {evidence.unsteady} are unsteady"
    if evidence.generated < LEAST_COMPARISONS:
        return (
            f"the evidence is thin: {evidence.generated:,} generated inputs, where {LEAST_COMPARISONS:,} are asked for"
        )
    return ""


def _effects_speak_against(effects: EffectsFound | None) -> str:
    """What evidence about a contract with effects lacks; empty when it carries a move."""
    if effects is None or not effects.states:
        return "the contract has effects, and the evidence compares no state"
    if effects.states_different:
        return f"the evidence speaks against it: {effects.states_different} of {effects.states} states differ"
    if effects.only_at_once or effects.unsteady:
        return (
            f"the evidence speaks against it: {effects.only_at_once} groups differ when they are played at once, and the reference "
            f"leaves another state {effects.unsteady} times when it is asked again"
        )
    for mode in (REFERENCE_ALONE, CANDIDATE_ALONE, MIXED):
        if against := _histories_speak_against(mode, effects.histories.get(mode)):
            return against
    return ""


def _histories_speak_against(mode: str, said: HistoryCount | None) -> str:
    if said is None:
        return f"the evidence is thin: 0 histories in mode {mode}, where {LEAST_WINDOWS} are asked for"
    if said.impossible or said.undecided or said.broken:
        return (
            f"the evidence speaks against it: of {said.windows} histories in mode {mode} {said.impossible} are impossible and "
            f"{said.undecided} undecided, and invariants were broken {said.broken} times"
        )
    if said.windows < LEAST_WINDOWS:
        return f"the evidence is thin: {said.windows} histories in mode {mode}, where {LEAST_WINDOWS} are asked for"
    if mode == MIXED and said.across < LEAST_ACROSS:
        return (
            f"the evidence is thin: both implementations were busy at once with {said.across} pairs of calls, where {LEAST_ACROSS} are "
            "asked for"
        )
    return ""
