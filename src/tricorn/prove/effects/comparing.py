"""Plays sequences on two implementations, each on a database of its own, and compares what they answer and what they leave behind."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from google.protobuf.message import Message

from tricorn.contract import MethodPolicy
from tricorn.prove.effects.sequences import CallSequence, answer_of, given_fields
from tricorn.prove.effects.state import State, Tables, renamed, state_differences
from tricorn.prove.findings import Findings
from tricorn.prove.inputs.mix import CASES, GENERATED, Input
from tricorn.prove.outcome import GONE, LATE, Comparison, Outcome, compare
from tricorn.prove.reference import Request

AT_ONCE = 8
"""Sequences that are played at once."""

ENOUGH = 6
"""After so many sequences that differ there is nothing more to learn."""

SETTLE_SECONDS = 1.0
"""How long what an implementation does in the background may take until the states are the same."""

_LOOK_SECONDS = 0.02
_SHORTEST_NAME = 8
"""Letters below which what differs is no id."""

_TRIES = 3
_MOST_REMOVED = 60


class Answers(Protocol):
    """Whatever is asked: `tricorn.prove.candidate.Candidate`."""

    async def ask(self, policy: MethodPolicy, request: Request) -> Outcome: ...


class Side(NamedTuple):
    """An implementation and its database."""

    answers: Answers
    tables: Tables


@dataclass(frozen=True, slots=True)
class Played:
    """A sequence on both sides. ``state`` are lines about rows that differ; None: nobody looked."""

    sequence: CallSequence
    requests: tuple[Request, ...]
    expected: tuple[Outcome, ...]
    actual: tuple[Outcome, ...]
    comparisons: tuple[Comparison, ...]
    state: tuple[str, ...] | None = None

    @property
    def differs(self) -> bool:
        return bool(self.state) or any(each.differences for each in self.comparisons)

    @property
    def in_time(self) -> bool:
        return not any(each.kind in {LATE, GONE} for each in (*self.expected, *self.actual))

    @property
    def shape(self) -> tuple[str, str]:
        """What sequences that differ for one cause mostly have in common."""
        for call, comparison in zip(self.sequence.calls, self.comparisons, strict=True):
            if comparison.differences:
                return call.policy.name, comparison.differences[0].path.partition("[")[0]
        return "", "state"


@dataclass(slots=True)
class SequencesFound:
    """Counts besides those of `Findings`."""

    sequences: int = 0
    at_once: int = 0
    """Of them, how many were played beside others."""
    states: int = 0
    states_different: int = 0
    rows: int = 0
    """Rows of state that were compared."""
    different: list[Played] = field(default_factory=list)
    only_at_once: int = 0
    """Groups that differ when they are played at once, and in which no sequence does alone."""
    unsteady: int = 0
    """Sequences after which the reference itself, asked again, leaves another state."""


class SequenceJudge:
    """Compares two implementations.

    Args:
        queries: What is state.
        step: Called after each group.
    """

    def __init__(
        self,
        findings: Findings,
        reference: Side,
        candidate: Side,
        queries: Sequence[str],
        step: Callable[[], None] | None = None,
    ) -> None:
        self.findings = findings
        self.found = SequencesFound()
        self._sides = (reference, candidate)
        self._queries = queries
        self._given = given_fields(list(findings.policies.values()))
        self._step = step

    async def judge(self, sequences: Iterable[CallSequence]) -> None:
        """Compares until `ENOUGH` differ."""
        began = time.monotonic()
        try:
            for group in _groups(sequences):
                for played in await self._decided(group):
                    self._take(played)
                if self._step is not None:
                    self._step()
                if len(self.found.different) + self.found.only_at_once >= ENOUGH:
                    break
        finally:
            self.findings.seconds += time.monotonic() - began

    async def alone(self, sequence: CallSequence) -> Played:
        """One sequence on empty databases. A late answer may be this machine's fault, so it is played again."""
        for _ in range(_TRIES):
            (played,) = await self._play([sequence])
            if played.in_time:
                break
        return played

    async def smaller(self, played: Played) -> Played:
        """The same difference by fewer calls."""
        number = len(played.sequence.calls) - 1
        for _ in range(_MOST_REMOVED):
            if number < 0 or len(played.sequence.calls) == 1:
                break
            tried = await self.alone(played.sequence.without(number))
            if tried.differs and tried.shape == played.shape:
                played = tried
            number -= 1
        return played

    async def _decided(self, group: Sequence[CallSequence]) -> list[Played]:
        """What a group shows. Whoever differs among others is played alone, to be sure whose rows they are."""
        played = await self._play(group)
        if not any(each.differs or not each.in_time for each in played):
            return played
        alone = [await self.alone(each) for each in group]
        if len(group) > 1 and not any(each.differs for each in alone):
            again = await self._play(group)
            self.found.only_at_once += any(each.differs and each.in_time for each in again)
        return alone

    async def _play(self, group: Sequence[CallSequence]) -> list[Played]:
        """All of a group at once, on both sides."""
        await asyncio.gather(*(self._set(side, group) for side in self._sides))
        both = await asyncio.gather(
            *(tell(side.answers, sequence) for side in self._sides for sequence in group),
        )
        pairs = list(zip(group, both[: len(group)], both[len(group) :], strict=True))
        names: dict[str, str] = {}
        for sequence, (_, expected), (_, actual) in pairs:
            names |= names_of(sequence, expected, actual, self._given)
        differences = await self._settled(names)
        found = []
        for sequence, (requests, expected), (_, actual) in pairs:
            said = tuple(translated(outcome, names) for outcome in actual)
            comparisons = tuple(
                compare(call.policy, *pair) for call, *pair in zip(sequence.calls, expected, said, strict=True)
            )
            found.append(Played(sequence, requests, expected, actual, comparisons, tuple(differences)))
        return found

    @staticmethod
    async def _set(side: Side, group: Sequence[CallSequence]) -> None:
        if group[0].computed:
            await side.tables.put_case(group[0].rows)
        else:
            await side.tables.put(sequence.rows for sequence in group)

    async def _settled(self, names: Mapping[str, str]) -> list[str]:
        """Where the states differ, once what goes on in the background has had its time."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            ours, theirs = await asyncio.gather(*(side.tables.read(self._queries) for side in self._sides))
            differences = state_differences(self._queries, ours, renamed(theirs, names))
            if not differences or time.monotonic() > until:
                self.found.rows += sum(map(len, ours))
                return differences
            await asyncio.sleep(_LOOK_SECONDS)

    def _take(self, played: Played) -> None:
        source = CASES if played.sequence.name else GENERATED
        for call, request, expected, actual, comparison in zip(
            played.sequence.calls, played.requests, played.expected, played.actual, played.comparisons, strict=True
        ):
            self.findings.take(Input(source, call.kind, request), expected, actual, comparison)
        self.found.sequences += 1
        self.found.at_once += not played.sequence.alone
        self.found.states += 1
        self.found.states_different += bool(played.state)
        if played.differs:
            self.found.different.append(played)


async def tell(answers: Answers, sequence: CallSequence) -> tuple[tuple[Request, ...], tuple[Outcome, ...]]:
    """Makes the calls of a sequence one after the other: the requests as they were made, and their outcomes."""
    requests: list[Request] = []
    outcomes: list[Outcome] = []
    given: list[Message | None] = []
    for call in sequence.calls:
        request = call.made(given, sequence.caller)
        outcome = await answers.ask(call.policy, request)
        requests.append(request)
        outcomes.append(outcome)
        given.append(answer_of(call.policy, outcome))
    return tuple(requests), tuple(outcomes)


async def repeat(side: Side, sequence: CallSequence, queries: Sequence[str]) -> tuple[tuple[Outcome, ...], State]:
    """What one side alone makes of a sequence."""
    if sequence.computed:
        await side.tables.put_case(sequence.rows)
    else:
        await side.tables.put([sequence.rows])
    _, outcomes = await tell(side.answers, sequence)
    return outcomes, await side.tables.read(queries)


def names_of(
    sequence: CallSequence, expected: Sequence[Outcome], actual: Sequence[Outcome], given: Mapping[str, set[str]]
) -> dict[str, str]:
    """What the second called something, and what the first did: ids that each chose for itself, of the same length."""
    names: dict[str, str] = {}
    for call, one, other in zip(sequence.calls, expected, actual, strict=True):
        ours, theirs = answer_of(call.policy, one), answer_of(call.policy, other)
        if ours is None or theirs is None:
            continue
        for field_name in given[call.policy.name]:
            name, theirs_name = getattr(ours, field_name), getattr(theirs, field_name)
            if name != theirs_name and len(name) == len(theirs_name) >= _SHORTEST_NAME:
                names.setdefault(theirs_name, name)
    return names


def translated(outcome: Outcome, names: Mapping[str, str]) -> Outcome:
    """The same with the first one's names; names are of one length, so a message's bytes stay a message."""
    payload = outcome.payload
    for theirs, ours in names.items():
        payload = payload.replace(theirs.encode(), ours.encode())
    return outcome._replace(payload=payload)


def _groups(sequences: Iterable[CallSequence]) -> Iterator[list[CallSequence]]:
    waiting: list[CallSequence] = []
    for sequence in sequences:
        if sequence.alone:
            yield [sequence]
            continue
        waiting.append(sequence)
        if len(waiting) == AT_ONCE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
