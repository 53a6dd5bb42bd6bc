"""What shadow found: counted by each process, merged by the report. Needs no protobuf."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tricorn.prove.histogram import Histogram
from tricorn.prove.tally import read_files

KEPT_EXAMPLES = 10
"""Differences that are kept of each method, each of other fields than those before it."""


@dataclass(frozen=True, slots=True, order=True)
class Pairing:
    """A method, and the implementation that is compared with the reference."""

    method: str
    implementation: str


@dataclass(slots=True)
class Cost:
    """Seconds of CPU, and the calls that took them."""

    seconds: float = 0.0
    calls: int = 0

    @property
    def each(self) -> float | None:
        """Seconds a call; None before the first."""
        return self.seconds / self.calls if self.calls else None

    def merge(self, other: "Cost") -> None:
        self.seconds += other.seconds
        self.calls += other.calls

    def to_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "calls": self.calls}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Cost":
        return cls(float(said["seconds"]), int(said["calls"]))


@dataclass(slots=True)
class Figures:
    """What was found of one pairing.

    Args:
        same: Pairs of outcomes that the contract calls the same.
        different: Those it does not.
        incomparable: Pairs that say nothing of the candidate, by cause.
        dropped: Calls of the sample that came faster than they could be compared.
        reversed: Pairs in which the candidate answered the caller, and the reference got the copy.
        asked_twice: Times the reference was asked the same again.
        unsteady: Times it then answered otherwise.
        fields: How often each field differed.
        reference: How long its answers took.
        candidate: How long the candidate's took.
        reference_cpu: Of the asked calls that ran in the counting process, its pool included.
        path: What the tap took of callers' time, for each call of the sample.
        examples: The first differences; see `tricorn.prove.shadow`.
    """

    same: int = 0
    different: int = 0
    incomparable: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    reversed: int = 0
    asked_twice: int = 0
    unsteady: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    reference: Histogram = field(default_factory=Histogram)
    candidate: Histogram = field(default_factory=Histogram)
    reference_cpu: Cost = field(default_factory=Cost)
    path: Histogram = field(default_factory=Histogram)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def compared(self) -> int:
        return self.same + self.different

    def not_comparable(self, cause: str) -> None:
        self.incomparable[cause] = self.incomparable.get(cause, 0) + 1

    def keep(self, example: Mapping[str, Any]) -> bool:
        """Keeps an example if there is none like it, and room."""
        fields = example["fields"]
        if len(self.examples) >= KEPT_EXAMPLES or any(each["fields"] == fields for each in self.examples):
            return False
        self.examples.append(dict(example))
        return True

    def merge(self, other: "Figures") -> None:
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for mine, its in ((self.incomparable, other.incomparable), (self.fields, other.fields)):
            for key, count in its.items():
                mine[key] = mine.get(key, 0) + count
        self.reference.merge(other.reference)
        self.candidate.merge(other.candidate)
        self.reference_cpu.merge(other.reference_cpu)
        self.path.merge(other.path)
        for example in other.examples:
            self.keep(example)

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in _COUNTS},
            "incomparable": self.incomparable,
            "fields": self.fields,
            "reference": self.reference.to_json(),
            "candidate": self.candidate.to_json(),
            "reference_cpu": self.reference_cpu.to_json(),
            "path": self.path.to_json(),
            "examples": self.examples,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Figures":
        return cls(
            **{name: int(said[name]) for name in _COUNTS},
            incomparable={str(cause): int(count) for cause, count in said["incomparable"].items()},
            fields={str(path): int(count) for path, count in said["fields"].items()},
            reference=Histogram.from_json(said["reference"]),
            candidate=Histogram.from_json(said["candidate"]),
            reference_cpu=Cost.from_json(said["reference_cpu"]),
            path=Histogram.from_json(said["path"]),
            examples=list(said["examples"]),
        )


_COUNTS = ("same", "different", "dropped", "reversed", "asked_twice", "unsteady")


class Comparisons:
    """Figures by pairing, and what the candidates' processes took since they are watched: CPU and calls, by ``CONTRACT IMPLEMENTATION``."""

    def __init__(self) -> None:
        self.pairings: dict[Pairing, Figures] = {}
        self.candidate_cpu: dict[str, Cost] = {}

    def of(self, pairing: Pairing) -> Figures:
        """The figures of a pairing; empty ones are begun where there are none."""
        figures = self.pairings.get(pairing)
        if figures is None:
            figures = self.pairings[pairing] = Figures()
        return figures

    def merge(self, other: "Comparisons") -> None:
        for pairing, figures in other.pairings.items():
            self.of(pairing).merge(figures)
        for name, cost in other.candidate_cpu.items():
            # Each process saw the same CPU: the one that watched longest knows most.
            mine = self.candidate_cpu.get(name)
            if mine is None or mine.calls < cost.calls:
                self.candidate_cpu[name] = cost

    def only(self, target: str) -> "Comparisons":
        """Those of a contract, or of one method."""
        result = Comparisons()
        for pairing, figures in self.pairings.items():
            if target in {pairing.method, pairing.method.partition("/")[0]}:
                result.pairings[pairing] = figures
        contract = target.partition("/")[0]
        result.candidate_cpu = {key: cost for key, cost in self.candidate_cpu.items() if key.split()[0] == contract}
        return result

    def forget(self, target: str) -> None:
        """Begins anew with a contract or a method."""
        for pairing in self.only(target).pairings:
            del self.pairings[pairing]

    def to_json(self) -> dict[str, Any]:
        return {
            "pairings": [
                {"method": pairing.method, "implementation": pairing.implementation, **figures.to_json()}
                for pairing, figures in sorted(self.pairings.items())
            ],
            "candidate_cpu": {name: cost.to_json() for name, cost in self.candidate_cpu.items()},
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Comparisons":
        """What `to_json` gave.

        Raises:
            ValueError: It is of another form.
        """
        result = cls()
        try:
            for each in said["pairings"]:
                result.pairings[Pairing(each["method"], each["implementation"])] = Figures.from_json(each)
            for name, cost in said["candidate_cpu"].items():
                result.candidate_cpu[name] = Cost.from_json(cost)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not what shadow writes: {error!r}") from error
        return result


def read_comparisons(home: Path, target: str) -> Comparisons:
    """What shadow found in all processes of a home about a target: ``package.Service``, or ``package.Service/Method``."""
    result = Comparisons()
    for found in _all(said for _, said in read_files(home)):
        result.merge(found)
    return result.only(target)


def _all(files: Iterable[Mapping[str, Any]]) -> Iterable[Comparisons]:
    for said in files:
        try:
            yield Comparisons.from_json(said.get("shadow", {"pairings": [], "candidate_cpu": {}}))
        except ValueError:
            continue
