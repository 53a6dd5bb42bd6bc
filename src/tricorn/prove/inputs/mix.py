"""What a contract is asked when it is verified: cases, recorded calls, and generated requests of several kinds, in one repeatable order."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message

from tricorn.contract import MethodPolicy
from tricorn.prove.inputs.draws import RandomDraws
from tricorn.prove.inputs.invalid import break_a_rule, damage, with_unknown_field
from tricorn.prove.inputs.messages import Generator
from tricorn.prove.inputs.seen import Seen
from tricorn.prove.reference import Request

CASES, RECORDINGS, GENERATED = "cases", "recordings", "generated"

Hook = Callable[[random.Random, str], Message | None]
"""An application's own generator: a request for the method of that name, or None where it has none."""

DRAWN, CHANGED, SHAPED, INVALID, NEWER, DAMAGED, FOUND = (
    "drawn",
    "changed",
    "shaped",
    "invalid",
    "newer",
    "damaged",
    "found",
)
"""Kinds of generated requests: drawn from the descriptor; one that was seen, changed in places; shaped by the application; with one broken rule;
of a newer contract; damaged bytes; found by Hypothesis."""

_WITHOUT_HOOK = ((DRAWN, 40), (CHANGED, 40), (INVALID, 12), (NEWER, 3), (DAMAGED, 5))
_WITH_HOOK = ((SHAPED, 45), (DRAWN, 20), (CHANGED, 20), (INVALID, 9), (NEWER, 2), (DAMAGED, 4))
_FOUND_SHARE = 50
"""One generated request in so many is Hypothesis's choice: it draws the same messages sixty times more slowly (decision 0025)."""

_MOST_FOUND = 60
_CORPUS = 400
_MOST_CHANGES = 4


class Input(NamedTuple):
    """One request, where it comes from, and what it is called: a case's id, or how it was generated."""

    source: str
    name: str
    request: Request


class Mix:
    """The generated requests of some methods; the same for the same seed, contract and seen requests."""

    def __init__(
        self,
        policies: Sequence[MethodPolicy],
        seen: Mapping[str, Sequence[Message]],
        hook: Hook | None,
        seed: int,
    ) -> None:
        self._policies = {policy.full_name: policy for policy in policies}
        self._rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._draws = RandomDraws(self._rng)
        self._seed = seed
        self._hook = hook
        self._generator = Generator(Seen(message for messages in seen.values() for message in messages))
        self._corpus = {name: [*seen.get(name, ())][:_CORPUS] for name in self._policies}
        trial = random.Random(seed)  # noqa: S311 - likewise
        self._shaped = {policy.full_name for policy in policies if hook is not None and hook(trial, policy.name)}

    def generated(self, count: int) -> Iterator[Input]:
        """So many requests, the methods in turn; a method whose requests have no fields is asked ten times in all."""
        names = [name for name, policy in self._policies.items() if policy.input.DESCRIPTOR.fields]
        empty = [name for name in self._policies if name not in names]
        made = 0
        for name in empty:
            for _ in range(min(10, count - made)):
                made += 1
                yield Input(GENERATED, DRAWN, Request(name, b""))
        if not names:
            return
        for input_ in self._found(names, count - made):
            made += 1
            yield input_
        while made < count:
            yield self._one(names[made % len(names)])
            made += 1

    def _found(self, names: Sequence[str], count: int) -> Iterator[Input]:
        each = min(_MOST_FOUND, count // _FOUND_SHARE) // len(names)
        if not each:
            return
        from tricorn.prove.inputs.strategies import found  # noqa: PLC0415 - only who generates pays for Hypothesis

        for name in names:
            for message in found(self._policies[name].input, self._generator, each, self._seed):
                yield self._input(name, FOUND, message.SerializeToString(deterministic=True))

    def _one(self, name: str) -> Input:
        kinds = _WITH_HOOK if name in self._shaped else _WITHOUT_HOOK
        kind = self._draws.pick([kind for kind, share in kinds for _ in range(share)])
        return self._input(name, kind, self._payload(name, kind))

    def _payload(self, name: str, kind: str) -> bytes:
        if kind == CHANGED:
            message = self._changed(name)
        elif kind == SHAPED or (name in self._shaped and self._draws.chance(60)):
            message = self._from_hook(name)
        elif kind == DRAWN:
            message = self._generator.draw(self._policies[name].input, self._draws)
        else:
            message = self._one_seen(name)
        if kind in {SHAPED, DRAWN}:
            self._remember(name, message)
        elif kind == INVALID:
            copy = type(message)()
            copy.CopyFrom(message)
            message = copy
            break_a_rule(message, self._draws)
        payload = message.SerializeToString(deterministic=True)
        if kind == NEWER:
            return with_unknown_field(payload, self._draws)
        return damage(payload, self._draws) if kind == DAMAGED else payload

    def _changed(self, name: str) -> Message:
        """One that was seen or made before, some of its fields drawn anew."""
        before = self._one_seen(name)
        message = type(before)()
        message.CopyFrom(before)
        for _ in range(self._draws.between(1, _MOST_CHANGES)):
            inside = self._somewhere(message)
            fields: Sequence[Any] = inside.DESCRIPTOR.fields
            if fields:
                self._generator.redraw(inside, self._draws.pick(fields), self._draws)
        return message

    def _somewhere(self, message: Message) -> Message:
        """The message or one inside it."""
        inside: list[tuple[Any, Any]] = [
            (field, value)
            for field, value in message.ListFields()
            if field.message_type is not None and not field.message_type.GetOptions().map_entry
        ]
        if not inside or self._draws.chance(25):
            return message
        field, value = self._draws.pick(inside)
        if field.message_type.file.package == "google.protobuf":
            return message
        inner: Message = self._draws.pick(value) if field.is_repeated else value
        return self._somewhere(inner)

    def _one_seen(self, name: str) -> Message:
        corpus = self._corpus[name]
        if not corpus or self._draws.chance(3):
            self._remember(name, self._generator.draw(self._policies[name].input, self._draws))
        return self._draws.pick(corpus)

    def _from_hook(self, name: str) -> Message:
        made = self._hook(self._rng, self._policies[name].name) if self._hook is not None else None
        return self._one_seen(name) if made is None else made

    def _remember(self, name: str, message: Message) -> None:
        corpus = self._corpus[name]
        if len(corpus) < _CORPUS:
            corpus.append(message)
        else:
            corpus[self._draws.between(0, _CORPUS - 1)] = message

    @staticmethod
    def _input(name: str, kind: str, payload: bytes) -> Input:
        return Input(GENERATED, kind, Request(name, payload))
