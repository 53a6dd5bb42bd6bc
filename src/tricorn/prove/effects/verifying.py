"""A verification of a contract with effects, from its cases to what is kept as evidence."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from tricorn.prove.effects.application import Declared, declared
from tricorn.prove.effects.comparing import (
    Answers,
    SequenceJudge,
    SequencesFound,
    Side,
    names_of,
    repeat,
    translated,
)
from tricorn.prove.effects.histories import Historian, ModeFound
from tricorn.prove.effects.hosting import Grounds, candidate_on, reference_on
from tricorn.prove.effects.mutants import Place, Told, told
from tricorn.prove.effects.sequences import CallSequence, Planned, Sequences, given_fields
from tricorn.prove.effects.state import Tables, renamed, state_differences
from tricorn.prove.errors import ProveError
from tricorn.prove.evidence import CANDIDATE_ALONE, MIXED, REFERENCE_ALONE, EffectsFound, HistoryCount
from tricorn.prove.findings import Findings, Mismatch
from tricorn.prove.gathering import cases_of
from tricorn.prove.inputs.mix import GENERATED, Input
from tricorn.prove.outcome import compare
from tricorn.prove.plan import Plan
from tricorn.prove.reference import Site
from tricorn.prove.sources import owner_of

WINDOWS = 32
"""Of each mode."""

FOR_MUTANTS = 48
"""Sequences that mutants are tried with, besides the cases; the reference is asked them twice."""

Step = Callable[[int, int, str], None]
"""How far it is: done, of how many, and what."""


@dataclass(slots=True)
class Effects:
    """What was found. ``findings`` are about the answers of the sequences."""

    findings: Findings
    queries: Sequence[str]
    invariants: Sequence[str]
    sequences: SequencesFound = field(default_factory=SequencesFound)
    histories: dict[str, ModeFound] = field(default_factory=dict)

    @property
    def is_the_same(self) -> bool:
        """Whether something was compared, and nothing speaks against the candidate nor against the reference."""
        findings, sequences = self.findings, self.sequences
        return (
            findings.total > 0
            and not findings.total_different
            and not findings.unsteady
            and not sequences.different
            and not sequences.only_at_once
            and not sequences.unsteady
            and all(mode.holds for mode in self.histories.values())
        )

    def found(self) -> EffectsFound:
        """For the evidence."""
        sequences = self.sequences
        return EffectsFound(
            sequences=sequences.sequences,
            at_once=sequences.at_once,
            states=sequences.states,
            states_different=sequences.states_different,
            only_at_once=sequences.only_at_once,
            unsteady=sequences.unsteady,
            queries=[" ".join(query.split()) for query in self.queries],
            histories={
                name: HistoryCount(
                    windows=mode.windows,
                    calls=mode.calls,
                    overlapping=mode.overlapping,
                    across=mode.across,
                    impossible=mode.impossible,
                    undecided=mode.undecided,
                    unknown=mode.unknown,
                    looks=mode.looks,
                    broken=len(mode.broken),
                )
                for name, mode in self.histories.items()
            },
            invariants=len(self.invariants),
        )


class EffectsVerification:
    """Compares two implementations of a contract with effects. Made by `verifying`."""

    def __init__(self, plan: Plan, said: Declared, grounds: Grounds, state: Path) -> None:
        self._plan = plan
        self._said = said
        self._grounds = grounds
        self._state = state
        self._made = Sequences(plan.policies, said.scene, plan.seed)
        self.effects = Effects(
            Findings({policy.full_name: policy for policy in plan.policies}),
            list(said.said.state),
            said.said.invariants,
        )

    @asynccontextmanager
    async def comparing(self, step: Step | None = None) -> AsyncIterator[SequenceJudge]:
        """A judge of sequences; the reference and the candidate each have a database of their own."""
        findings = self.effects.findings

        def say() -> None:
            if step is not None:
                different = len(self.effects.sequences.different)
                step(findings.asked, self._plan.inputs, f"{different} sequences differ")

        environment = self._said.said.environment
        async with AsyncExitStack() as stack:
            ours, theirs = await self._grounds.clone(), await self._grounds.clone()
            reference = await stack.enter_async_context(reference_on(self._site, ours, environment))
            candidate = await stack.enter_async_context(candidate_on(self._plan, self._state, theirs, environment))
            tables = [await stack.enter_async_context(Tables(data)) for data in (ours, theirs)]
            if not self.effects.queries:
                self.effects.queries = await tables[0].published()
            if not self.effects.queries:
                raise ProveError(
                    f"nobody says what the state of {self._plan.target.short} is",
                    remedy=f"declare queries: [verify.{self._plan.target.short.partition('/')[0]}] state = [...] in tricorn.toml",
                )
            judge = SequenceJudge(
                findings, Side(reference, tables[0]), Side(candidate, tables[1]), self.effects.queries, say
            )
            self.effects.sequences = judge.found
            yield judge

    def sequences(self) -> Iterable[CallSequence]:
        """The cases, then what is generated."""
        return chain(cases(self._plan), self._made.each(self._plan.inputs))

    def sequence(self, number: int) -> CallSequence:
        return self._made.of(number)

    async def histories(self, windows: int = WINDOWS, step: Step | None = None) -> None:
        """Records and judges histories in all modes, if the application says how."""
        if self._said.history is None or not windows:
            return
        for mode in (REFERENCE_ALONE, CANDIDATE_ALONE, MIXED):

            def say(done: int, mode: str = mode) -> None:
                if step is not None:
                    step(done, windows, f"histories, {mode}")

            async with self._together(mode) as (answers, tables):
                policies = {policy.name: policy for policy in self._plan.policies}
                historian = Historian(self._said.history, policies, tables, self.effects.invariants, self._plan.seed)
                self.effects.histories[mode] = await historian.record(mode, answers, windows, say)

    @asynccontextmanager
    async def _together(self, mode: str) -> AsyncIterator[tuple[dict[str, Answers], Tables]]:
        """Who answers in a mode, and nobody else, on a database of the mode's own."""
        data = await self._grounds.clone()
        environment = self._said.said.background
        async with AsyncExitStack() as stack:
            answers: dict[str, Answers] = {}
            if mode != CANDIDATE_ALONE:
                answers["reference"] = await stack.enter_async_context(reference_on(self._site, data, environment))
            if mode != REFERENCE_ALONE:
                candidate = candidate_on(self._plan, self._state, data, environment)
                answers["candidate"] = await stack.enter_async_context(candidate)
            yield answers, await stack.enter_async_context(Tables(data))

    async def for_mutants(self) -> list[Place | Told]:
        """What a campaign of mutants needs: a database, and sequences with what the reference makes of them when it is asked again.

        What it makes otherwise than before is counted as unsteady.
        """
        data, environment = await self._grounds.clone(), self._said.said.environment
        queries = tuple(self.effects.queries)
        findings = self.effects.findings
        async with reference_on(self._site, data, environment) as reference, Tables(data) as tables:
            asked: list[Place | Told] = [Place(data, environment, queries, tables.emptied)]
            side = Side(reference, tables)
            for sequence in islice(self.sequences(), len(cases(self._plan)) + FOR_MUTANTS):
                outcomes, state = await repeat(side, sequence, queries)
                again, state_again = await repeat(side, sequence, queries)
                names = names_of(sequence, outcomes, again, given_fields(self._plan.policies))
                findings.asked_twice += len(outcomes)
                for call, first, second in zip(sequence.calls, outcomes, again, strict=True):
                    findings.weigh(call.policy, first)
                    comparison = compare(call.policy, first, translated(second, names))
                    if comparison.differences:
                        input_ = Input(GENERATED, call.kind, call.made([], sequence.caller))
                        findings.unsteady.append(Mismatch(input_, first, second, comparison.differences))
                if state_differences(queries, state, renamed(state_again, names)):
                    self.effects.sequences.unsteady += 1
                else:
                    asked.append(told(sequence, outcomes, state))
        return asked

    @property
    def _site(self) -> Site:
        return self._plan.site(self._state)


@asynccontextmanager
async def verifying(plan: Plan, state: Path) -> AsyncIterator[EffectsVerification]:
    """A verification with a server of its own, as long as the block runs.

    Raises:
        ProveError: The plan asks for what cannot be done with effects.
    """
    if plan.recordings:
        raise ProveError(
            "recorded calls speak of rows that are not here, so a contract with effects cannot be asked them",
            remedy="leave --recording out",
        )
    said = declared(plan.manifest, plan.target.contract)
    async with Grounds(plan.manifest, plan.target.contract) as grounds:
        yield EffectsVerification(plan, said, grounds, state)


def cases(plan: Plan) -> list[CallSequence]:
    """The conformance cases, each a sequence of one call on the case's own rows; those that need other contexts, files or metadata are left to
    `conformance`.
    """
    found = []
    owner = owner_of(plan.manifest, plan.target.contract)
    for case in cases_of(plan, with_state=True):
        ours = case.contexts == (owner,) and all(table.partition(".")[0] == owner for table in case.state)
        if ours and not case.files and not case.metadata:
            calls = (Planned(case.policy, case.request, case.id),)
            found.append(CallSequence(case.state, calls, name=case.id, alone=True, caller=case.caller, computed=True))
    return found
