"""Sequences of calls: what was there before, and calls in which answers flow into later requests."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tricorn.contract import MethodPolicy
from tricorn.prove.effects.application import Rows, Scene
from tricorn.prove.inputs.draws import RandomDraws
from tricorn.prove.inputs.invalid import break_a_rule
from tricorn.prove.inputs.messages import Generator
from tricorn.prove.inputs.mix import DRAWN, INVALID, SHAPED
from tricorn.prove.outcome import ANSWERED, Outcome
from tricorn.prove.reference import Request
from tricorn.wire import Identity

REPEATED, KEY_AGAIN = "repeated", "key again"
"""Kinds of calls beside those of `inputs.mix`: an earlier one once more; another request with an earlier one's idempotency key."""

SHORTEST, LONGEST = 6, 18
_WILD = 6
"""One sequence in so many has requests of all kinds, and is played alone: values that are drawn may be another sequence's, too."""

_FLOWS = 92
"""Percent of fields that are filled from an earlier answer where there is one."""


@dataclass(frozen=True, slots=True)
class Flow:
    """``field`` of the request is what the answer to an earlier call has in the field of that name; the request's own value where that call
    was refused.
    """

    field: str
    call: int


@dataclass(frozen=True, slots=True)
class Planned:
    """One call of a sequence."""

    policy: MethodPolicy
    request: Message
    kind: str
    flows: tuple[Flow, ...] = ()

    def made(self, answers: Sequence[Message | None], caller: Identity | None = None) -> Request:
        """The request, with what an implementation has answered so far."""
        message = self.policy.input()
        message.CopyFrom(self.request)
        for flow in self.flows:
            answer = answers[flow.call]
            if answer is not None:
                setattr(message, flow.field, getattr(answer, flow.field))
        return Request(self.policy.full_name, message.SerializeToString(deterministic=True), caller)

    def __str__(self) -> str:
        said = json_format.MessageToDict(self.request, preserving_proto_field_name=True)
        said |= {flow.field: f"<that of call {flow.call + 1}>" for flow in self.flows}
        return f"{self.policy.name} {json.dumps(said, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class CallSequence:
    """``number`` makes it again, with the seed of the verification; a case has a ``name`` instead. ``alone``: nothing else may be played on its
    database meanwhile.
    """

    rows: Rows
    calls: tuple[Planned, ...]
    number: int = -1
    name: str = ""
    alone: bool = False
    caller: Identity | None = None
    computed: bool = False
    """Whether its rows hold what the database computes."""

    def without(self, number: int) -> "CallSequence":
        """The same but for one call; who needed its answer has its own value."""
        calls = [
            replace(
                call,
                flows=tuple(
                    Flow(flow.field, flow.call - (flow.call > number)) for flow in call.flows if flow.call != number
                ),
            )
            for at, call in enumerate(self.calls)
            if at != number
        ]
        return replace(self, calls=tuple(calls))


class Sequences:
    """The sequences of a contract; each is made by its number alone, the same for the same seed.

    Args:
        policies: What may be called.
        scene: The application's; None: there is nothing before, and every request is drawn.
    """

    def __init__(
        self, policies: Sequence[MethodPolicy], scene: Callable[[random.Random], Scene] | None, seed: int
    ) -> None:
        self._policies = policies
        self._scene = scene
        self._seed = seed
        self._flows = {policy.name: _flowing(policy, policies) for policy in policies}
        self._effects = [policy for policy in policies if not policy.safe]

    def each(self, calls: int) -> Iterator[CallSequence]:
        """As many as have so many calls together."""
        number = made = 0
        while made < calls:
            sequence = self.of(number)
            yield sequence
            number, made = number + 1, made + len(sequence.calls)

    def of(self, number: int) -> CallSequence:
        rng = random.Random(f"{self._seed}/{number}")  # noqa: S311 - repeatable, not secret
        scene = self._scene(rng) if self._scene is not None else None
        wild = scene is None or number % _WILD == _WILD - 1
        writer = _Writer(self._policies, self._effects, self._flows, scene, rng, wild=wild)
        for _ in range(rng.randint(SHORTEST, LONGEST)):
            writer.add()
        return CallSequence(scene.rows if scene else {}, tuple(writer.calls), number, alone=wild)


class _Writer:
    """Writes one sequence."""

    def __init__(
        self,
        policies: Sequence[MethodPolicy],
        effects: Sequence[MethodPolicy],
        flows: Mapping[str, Mapping[str, set[str]]],
        scene: Scene | None,
        rng: random.Random,
        *,
        wild: bool,
    ) -> None:
        self._policies = policies
        self._effects = effects
        self._flows = flows
        self._scene = scene
        self._rng = rng
        self._wild = wild
        self._generator = Generator()
        self._draws = RandomDraws(rng)
        self.calls: list[Planned] = []

    def add(self) -> None:
        kind = self._rng.random()
        if self.calls and kind < 0.08:  # noqa: PLR2004 - a share
            self.calls.append(replace(self._rng.choice(self.calls), kind=REPEATED))
            return
        policy = self._method()
        request, how = self._request(policy)
        flows = self._flowing(policy)
        keyed = [call for call in self.calls if call.policy is policy and policy.idempotency_key_field]
        if keyed and kind < 0.2:  # noqa: PLR2004 - a share
            key = policy.idempotency_key_field or ""
            setattr(request, key, getattr(self._rng.choice(keyed).request, key))
            how = KEY_AGAIN
        if self._wild and kind > 0.88 and break_a_rule(request, self._draws):  # noqa: PLR2004 - a share
            how, flows = INVALID, ()
        self.calls.append(Planned(policy, request, how, flows))

    def _method(self) -> MethodPolicy:
        """Any, those with effects twice as often; seldom one that speaks of an answer which nobody has given yet."""
        policy = self._rng.choice([*self._policies, *self._effects])
        waits = self._flows[policy.name]
        if waits and not self._flowing(policy, sure=True) and self._rng.random() < 0.85:  # noqa: PLR2004 - a share
            givers = {name for names in waits.values() for name in names if not self._flows[name]}
            return self._rng.choice([each for each in self._policies if each.name in givers] or [policy])
        return policy

    def _request(self, policy: MethodPolicy) -> tuple[Message, str]:
        drawn = self._wild and self._rng.random() < 0.15  # noqa: PLR2004 - a share
        shaped = None if self._scene is None or drawn else self._scene.request(self._rng, policy.name)
        if shaped is not None:
            return shaped, SHAPED
        return self._generator.draw(policy.input, self._draws), DRAWN

    def _flowing(self, policy: MethodPolicy, *, sure: bool = False) -> tuple[Flow, ...]:
        flows = []
        for field, givers in self._flows[policy.name].items():
            there = [number for number, call in enumerate(self.calls) if call.policy.name in givers]
            if there and (sure or self._rng.random() * 100 < _FLOWS):
                flows.append(Flow(field, there[-1] if self._rng.random() < 0.4 else self._rng.choice(there)))  # noqa: PLR2004 - a share
        return tuple(flows)


def given_fields(policies: Sequence[MethodPolicy]) -> dict[str, set[str]]:
    """By method, the fields of its answers that flow into requests: what an implementation chose, an id mostly."""
    found: dict[str, set[str]] = {policy.name: set() for policy in policies}
    for policy in policies:
        for field, givers in _flowing(policy, policies).items():
            for giver in givers:
                found[giver].add(field)
    return found


def _flowing(policy: MethodPolicy, policies: Sequence[MethodPolicy]) -> dict[str, set[str]]:
    """The string fields of a request that answers have too, with the methods that give them."""
    found: dict[str, set[str]] = {}
    for field in policy.input.DESCRIPTOR.fields:
        givers = {each.name for each in policies if _has(each, field)}
        if givers and field.name != policy.idempotency_key_field and _is_text(field):
            found[field.name] = givers
    return found


def _has(policy: MethodPolicy, wanted: Any) -> bool:
    field = policy.output.DESCRIPTOR.fields_by_name.get(wanted.name)
    return field is not None and _is_text(field)


def _is_text(field: Any) -> bool:
    return bool(not field.is_repeated and field.cpp_type == FieldDescriptor.CPPTYPE_STRING)


def answer_of(policy: MethodPolicy, outcome: Outcome) -> Message | None:
    """What flows on; nothing from a refusal."""
    return policy.output.FromString(outcome.payload) if outcome.kind == ANSWERED else None
