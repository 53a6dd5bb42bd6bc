"""The behaviour of the contracts as cases, and the runner that plays them against any implementation."""

from tricorn.conformance.cases import Case, CaseError, load_cases
from tricorn.conformance.gaps import Gap, load_gaps
from tricorn.conformance.runner import Outcome, play, unreached
from tricorn.conformance.started import StartError, started_native
from tricorn.conformance.targets import AsNative, AsProcess, AtAddress, InProcess, OverSocket, Target

__all__ = [
    "AsNative",
    "AsProcess",
    "AtAddress",
    "Case",
    "CaseError",
    "Gap",
    "InProcess",
    "Outcome",
    "OverSocket",
    "StartError",
    "Target",
    "load_cases",
    "load_gaps",
    "play",
    "started_native",
    "unreached",
]
