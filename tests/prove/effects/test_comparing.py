"""Sequences on two implementations of the toy's notes, each on a database of its own: what is answered, and what is left behind."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.toy.toy_application import toy  # noqa: F401 - a fixture

from tricorn.contract import MethodPolicy, service_policies
from tricorn.data import EmbeddedPostgres
from tricorn.host import Process, load_manifest
from tricorn.host.testing import clones_for
from tricorn.prove.effects.comparing import SequenceJudge, Side, repeat
from tricorn.prove.effects.here import Here
from tricorn.prove.effects.hosting import Data, hosted_on
from tricorn.prove.effects.sequences import CallSequence, Sequences
from tricorn.prove.effects.state import Tables
from tricorn.prove.findings import Findings
from tricorn.prove.outcome import Outcome
from tricorn.prove.reference import Request, Site

NOTES = "toy.notes.v1.NotesService"
STATE = ["SELECT note_id, author, text, locked FROM notes.note"]
SEED = 1


class Notes:
    """A scene without anything in it."""

    def __init__(self, rng: random.Random) -> None:
        self._name = f"{rng.getrandbits(32):08x}"
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def request(self, rng: random.Random, method: str) -> Any:
        policy = next(policy for policy in unary() if policy.name == method)
        if method == "AddNote":
            return policy.input(author=self._name, text=rng.choice(("", "a", "b")))
        return None


class Altered:
    """A server between which and its caller something goes wrong."""

    def __init__(self, inner: Here, change: Callable[[MethodPolicy, Outcome], Outcome], *, forget: str = "") -> None:
        self._inner = inner
        self._change = change
        self._forget = forget

    async def ask(self, policy: MethodPolicy, request: Request) -> Outcome:
        if policy.name == self._forget:
            policy = next(each for each in unary() if each.name == "GetNote")
            request = request._replace(method=policy.full_name)
        return self._change(policy, await self._inner.ask(policy, request))


def unary() -> list[MethodPolicy]:
    return [each for each in service_policies(NOTES) if not (each.client_streaming or each.server_streaming)]


@pytest.fixture
async def sides(toy: Path, postgres: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:  # noqa: F811 - likewise
    """The same implementation twice."""
    manifest = load_manifest(toy)
    manifest.activate()
    clones = clones_for(postgres, manifest, ["notes"])
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            name = await stack.enter_async_context(clones.clone())
            data = Data("notes", clones.url(name, "notes"), postgres.admin_url(name))
            process: Process = await stack.enter_async_context(hosted_on(manifest, Site(toy, NOTES, tmp_path), data))
            tables = await stack.enter_async_context(Tables(data))
            made.append(Side(Here(process.service), tables))
        yield made[0], made[1]


def judge_of(reference: Side, candidate: Side) -> SequenceJudge:
    return SequenceJudge(Findings({policy.full_name: policy for policy in unary()}), reference, candidate, STATE)


def sequences(calls: int) -> list[CallSequence]:
    return list(Sequences(unary(), Notes, SEED).each(calls))


async def test_the_same_implementation_is_found_the_same_though_ids_differ(sides: tuple[Side, Side]) -> None:
    judge = judge_of(*sides)

    await judge.judge(sequences(120))

    assert judge.found.different == []
    assert judge.findings.total >= 120
    assert judge.found.states == judge.found.sequences
    assert judge.found.rows > 0
    assert {"AddNote", "LockNote", "GetNote"} <= set(judge.findings.by_method)


async def test_an_effect_that_is_left_out_shows_in_the_state_or_in_a_later_answer(sides: tuple[Side, Side]) -> None:
    reference, candidate = sides
    forgetful = Altered(candidate.answers, lambda _, outcome: outcome, forget="LockNote")  # type: ignore[arg-type]
    judge = judge_of(reference, Side(forgetful, candidate.tables))

    await judge.judge(sequences(120))

    assert judge.found.different
    small = await judge.smaller(judge.found.different[0])
    assert small.differs
    assert [call.policy.name for call in small.sequence.calls][-1] == "LockNote"
    assert len(small.sequence.calls) < len(judge.found.different[0].sequence.calls)


async def test_an_effect_that_only_the_state_shows_is_seen(sides: tuple[Side, Side]) -> None:
    reference, candidate = sides

    def pretends(policy: MethodPolicy, outcome: Outcome) -> Outcome:
        if policy.name == "GetNote" and outcome.code == "OK":
            answer = policy.output.FromString(outcome.payload)
            answer.locked = True  # type: ignore[attr-defined]
            return outcome._replace(payload=answer.SerializeToString(deterministic=True))
        return outcome

    forgetful = Altered(candidate.answers, pretends, forget="LockNote")  # type: ignore[arg-type]
    judge = judge_of(reference, Side(forgetful, candidate.tables))
    locked_last = [each for each in sequences(200) if [call.policy.name for call in each.calls].count("LockNote") == 1]

    await judge.judge(locked_last)

    assert any(played.state for played in judge.found.different)


async def test_an_answer_that_is_wrong_is_seen_and_named(sides: tuple[Side, Side]) -> None:
    reference, candidate = sides

    def shouts(policy: MethodPolicy, outcome: Outcome) -> Outcome:
        return outcome._replace(payload=outcome.payload.replace(b"\x1a\x01a", b"\x1a\x01A"))

    judge = judge_of(reference, Side(Altered(candidate.answers, shouts), candidate.tables))  # type: ignore[arg-type]

    await judge.judge(sequences(60))

    shapes = {played.shape[0] for played in judge.found.different}
    assert "AddNote" in shapes


async def test_a_sequence_alone_leaves_what_it_left_before(sides: tuple[Side, Side]) -> None:
    reference, _ = sides
    sequence = sequences(10)[0]

    outcomes, state = await repeat(reference, sequence, STATE)
    again, state_again = await repeat(reference, sequence, STATE)

    assert [each.kind for each in outcomes] == [each.kind for each in again]
    assert [len(rows) for rows in state] == [len(rows) for rows in state_again]


def test_sequences_are_made_of_their_numbers_and_lose_calls_with_their_flows() -> None:
    one, again = Sequences(unary(), Notes, SEED).of(4), Sequences(unary(), Notes, SEED).of(4)

    assert [str(call) for call in one.calls] == [str(call) for call in again.calls]
    flowing = next(number for number, call in enumerate(one.calls) if call.flows)
    source = one.calls[flowing].flows[0].call
    shorter = one.without(source)
    assert len(shorter.calls) == len(one.calls) - 1
    assert shorter.calls[flowing - 1].flows == ()
