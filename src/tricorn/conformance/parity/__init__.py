"""Whether two gateways are the same to whoever sees only HTTP: the same requests go to both, and the answers are compared."""

from tricorn.conformance.parity.compare import Leniency, differences
from tricorn.conformance.parity.drawn import drawn_cases
from tricorn.conformance.parity.exchange import Answer, Ask, Line
from tricorn.conformance.parity.play import Finding, play_all
from tricorn.conformance.parity.tables import Case, Step, load_tables

__all__ = [
    "Answer",
    "Ask",
    "Case",
    "Finding",
    "Leniency",
    "Line",
    "Step",
    "differences",
    "drawn_cases",
    "load_tables",
    "play_all",
]
