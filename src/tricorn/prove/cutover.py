"""A cutover as it is planned: from Python to another implementation in steps, each of which must show itself to be as good.

This module needs no protobuf: the supervisor carries plans out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tricorn.prove.errors import ProveError
from tricorn.prove.step_judge import Limits

ALL = 10_000
"""Every call, in basis points."""

DEFAULT_STEPS = "1,5,25,50,100"


@dataclass(frozen=True)
class CutoverPlan:
    """What the supervisor is asked to do; plain values, so that it travels as JSON.

    Args:
        target: ``package.Service`` or ``package.Service/Method``.
        short: The same as commands say it.
        to: The implementation.
        steps: Basis points of the calls, rising, the last one all of them.
        methods: What is moved, by full names.
        shadowed: Those of them whose answers are compared: without side effects, one answer each.
        sample: Basis points of the calls that are compared.
        step_seconds: How long a step may wait for enough calls.
        watch_seconds: How long the guard goes on once all calls are moved.
        allow_quiet: Whether a step in which nobody calls may be left.
        by: Who asked.
        evidence: SHA-256 of the file of evidence; it and the next are filled in by the supervisor, who looks for itself.
        rehearsed: When the way back was rehearsed.
    """

    target: str
    short: str
    to: str
    steps: tuple[int, ...]
    methods: tuple[str, ...]
    shadowed: tuple[str, ...]
    by: str
    sample: int = 1000
    step_seconds: float = 600.0
    watch_seconds: float = 600.0
    allow_quiet: bool = False
    evidence: str = ""
    rehearsed: str = ""
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> CutoverPlan:
        """What `to_json` gave.

        Raises:
            ValueError: It is of another form.
        """
        try:
            lists = {name: tuple(said[name]) for name in ("steps", "methods", "shadowed")}
            plan = cls(**{**said, **lists, "limits": Limits(**said["limits"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a plan of a cutover: {error}") from error
        if not plan.methods or list(plan.steps) != sorted(set(plan.steps)) or plan.steps[-1:] != (ALL,):
            raise ValueError("not a plan of a cutover: steps rise to 10000, and there are methods")
        return plan


def parse_steps(text: str) -> tuple[int, ...]:
    """Basis points of ``1,5,25,50,100``, which are per cent.

    Raises:
        ProveError: It is no rising list that ends with 100.
    """
    remedy = "give rising shares in per cent that end with 100, for example --steps 1,5,25,50,100"
    try:
        shares = [round(float(word) * 100) for word in text.split(",")]
    except (ValueError, OverflowError):
        raise ProveError(f"--steps {text}: not a list of numbers", remedy=remedy) from None
    if shares != sorted(set(shares)) or shares[0] < 1 or shares[-1] != ALL:
        raise ProveError(f"--steps {text}: not rising from above 0 to 100", remedy=remedy)
    return tuple(shares)
