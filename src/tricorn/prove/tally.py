"""How the implementations of a method fare: counted by each process that calls, merged by whoever judges.

Counted are the calls that callers made, and not the copies that shadow sends; by `counting`, while a binding of the contract gives a share to an
implementation or shadows one. This module needs no protobuf: the supervisor reads tallies, too.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tricorn.prove.histogram import Histogram

FOLDER = "prove"
"""The folder of a home in which each process writes what it counts, as ``<process>.json``."""

VERSION = 1
_KEPT_GENERATIONS = 16


@dataclass(frozen=True, slots=True, order=True)
class Arm:
    """One implementation of one method under one generation of the binding that decided the call."""

    method: str
    implementation: str
    generation: int


@dataclass(slots=True)
class Tally:
    """What was counted of an arm.

    ``errors`` are answers that tell of a broken server (UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL), and calls that the reference had to answer
    in its place: those have no latency here, since it is the reference that they count as answered by. Refusals of the business are answers
    like others. ``compared`` and ``different`` come from shadow, and count for the implementation that is not the reference, whoever answered
    the caller.
    """

    calls: int = 0
    errors: int = 0
    compared: int = 0
    different: int = 0
    latency: Histogram = field(default_factory=Histogram)

    def merge(self, other: "Tally") -> None:
        self.calls += other.calls
        self.errors += other.errors
        self.compared += other.compared
        self.different += other.different
        self.latency.merge(other.latency)

    def to_json(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "errors": self.errors,
            "compared": self.compared,
            "different": self.different,
            "latency": self.latency.to_json(),
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Tally":
        calls, errors, compared, different = (int(said[name]) for name in ("calls", "errors", "compared", "different"))
        return cls(calls, errors, compared, different, Histogram.from_json(said["latency"]))


class Tallies:
    """Tallies by arm."""

    def __init__(self, arms: Mapping[Arm, Tally] | None = None) -> None:
        self.arms: dict[Arm, Tally] = dict(arms or {})

    def arm(self, arm: Arm) -> Tally:
        """The tally of an arm; an empty one is begun where there is none."""
        tally = self.arms.get(arm)
        if tally is None:
            tally = self.arms[arm] = Tally()
        return tally

    def of(self, implementation: str, *, method: str | None = None, since: int = 0, until: int | None = None) -> Tally:
        """What an implementation did, over all methods or one, under the generations from ``since`` to ``until``, both included."""
        result = Tally()
        for arm, tally in self.arms.items():
            if (
                arm.implementation == implementation
                and method in {None, arm.method}
                and since <= arm.generation
                and (until is None or arm.generation <= until)
            ):
                result.merge(tally)
        return result

    def merge(self, other: "Tallies") -> None:
        for arm, tally in other.arms.items():
            self.arm(arm).merge(tally)

    def prune(self) -> None:
        """Forgets all but the latest generations of each method."""
        for method in {arm.method for arm in self.arms}:
            generations = sorted({arm.generation for arm in self.arms if arm.method == method})
            for arm in [
                arm for arm in self.arms if arm.method == method and arm.generation in generations[:-_KEPT_GENERATIONS]
            ]:
                del self.arms[arm]

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {
                "method": arm.method,
                "implementation": arm.implementation,
                "generation": arm.generation,
                **tally.to_json(),
            }
            for arm, tally in sorted(self.arms.items())
        ]

    @classmethod
    def from_json(cls, said: Iterable[Mapping[str, Any]]) -> "Tallies":
        """What `to_json` gave.

        Raises:
            ValueError: It is of another form.
        """
        try:
            return cls(
                {
                    Arm(each["method"], each["implementation"], int(each["generation"])): Tally.from_json(each)
                    for each in said
                }
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a list of tallies: {error!r}") from error


def read_files(home: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What the processes of a home wrote last. A file that cannot be read as such is left out: its process writes it anew within a second."""
    for path in sorted((home / FOLDER).glob("*.json")):
        try:
            said = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(said, dict) and said.get("version") == VERSION:
            yield path, said


def read_tallies(home: Path, target: str) -> Tallies:
    """What all processes of a home counted of a target: ``package.Service``, or ``package.Service/Method``."""
    result = Tallies()
    for _, said in read_files(home):
        try:
            tallies = Tallies.from_json(said.get("tallies", []))
        except ValueError:
            continue
        result.merge(
            Tallies(
                {
                    arm: tally
                    for arm, tally in tallies.arms.items()
                    if target in {arm.method, arm.method.partition("/")[0]}
                }
            )
        )
    return result
