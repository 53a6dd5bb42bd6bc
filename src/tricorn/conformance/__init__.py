"""The behaviour of the contracts as cases, and the runner that plays them against any implementation."""

from tricorn.conformance.cases import Case, CaseError, load_cases
from tricorn.conformance.gaps import Gap, load_gaps
from tricorn.conformance.runner import AtAddress, InProcess, Outcome, OverSocket, play, unreached

__all__ = [
    "AtAddress",
    "Case",
    "CaseError",
    "Gap",
    "InProcess",
    "Outcome",
    "OverSocket",
    "load_cases",
    "load_gaps",
    "play",
    "unreached",
]
