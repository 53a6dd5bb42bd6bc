"""Plays cases to two gateways at once and says where they differ."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tricorn.conformance.cases import CaseError
from tricorn.conformance.parity.compare import differences
from tricorn.conformance.parity.exchange import PATIENCE, Answer, Ask, Line
from tricorn.conformance.parity.tables import Case, Step

CLIENT = "X-Forwarded-For"
"""Each case comes from an address of its own, so that none is limited for what others did; the gateways believe the header."""

_AGAIN = 0.05
_SHORTEST_NAMED = 8
"""Kept values as long as this are told apart from others, so that they may stand anywhere in an answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a case: ``differences`` is empty when both gateways answered the same."""

    case: Case
    differences: tuple[str, ...]


class _Variables(Mapping[str, str]):
    """What is kept, and new UUIDs as they are asked for."""

    def __init__(self, shared: Mapping[str, str]) -> None:
        self.own: dict[str, str] = {}
        self._shared = shared

    def __getitem__(self, name: str) -> str:
        if name.startswith("new:") and name not in self.own:
            self.own[name] = str(uuid.uuid4())
        return self.own[name] if name in self.own else self._shared[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._shared or str(name).startswith("new:")

    def __iter__(self) -> Iterator[str]:
        return iter({**self._shared, **self.own})

    def __len__(self) -> int:
        return len({**self._shared, **self.own})


@dataclass
class _Side:
    """One gateway, and what it said to a story so far."""

    line: Line
    variables: _Variables
    answers: list[list[Answer]] = field(default_factory=list)

    async def tell(self, steps: Sequence[Step], address: str) -> None:
        again = len(steps) == 1 and _may_repeat(steps[0])
        for step in steps:
            answers = await self._ask(step, address, again=again)
            self.answers.append(answers)
            for name, path in step.keep.items():
                self.variables.own[name] = _member(step, answers, path)

    async def _ask(self, step: Step, address: str, *, again: bool) -> list[Answer]:
        ask = step.filled(self.variables)
        if ask.raw is None and CLIENT not in dict(ask.headers):
            ask = replace(ask, headers=(*ask.headers, (CLIENT, address)))
        answers = await self.line.ask(ask)
        if again:
            await self.line.ask(ask)
            answers = [*answers, *await self.line.ask(ask)]
        deadline = time.monotonic() + PATIENCE
        while step.until is not None and not (answers and answers[-1].status == step.until):
            if time.monotonic() > deadline:
                break
            # What is waited for is either the work of others, or a limit that only haste reaches.
            if step.until != 429:  # noqa: PLR2004
                await asyncio.sleep(_AGAIN)
            answers = await self.line.ask(ask)
        return answers

    def named(self, answers: Sequence[Answer]) -> list[Answer]:
        """Answers with the names of what was kept in place of its values, which are each gateway's own."""
        values = {value: f"${{{name}}}" for name, value in self.variables.own.items() if len(value) >= _SHORTEST_NAMED}

        def rename(text: str) -> str:
            for value, name in values.items():
                text = text.replace(value, name)
            return text

        return [
            Answer(
                answer.status,
                {name: tuple(map(rename, said)) for name, said in answer.headers.items()},
                rename(answer.body.decode("latin-1")).encode("latin-1") if values else answer.body,
                answer.cut,
            )
            for answer in answers
        ]


async def play_all(
    setup: Iterable[Case],
    cases: Sequence[Case],
    reference: Line,
    candidate: Line,
    advance: Callable[[], None] = lambda: None,
) -> list[Finding]:
    """Plays the cases in order, each to both gateways at once.

    Raises:
        CaseError: What a case needs could not be set up, or it names a variable that nothing keeps.
    """
    shared: dict[str, str] = {}
    findings = []
    try:
        for number, case in enumerate(setup):
            side = _Side(reference, _Variables(shared))
            await side.tell(case.steps, _address(1, number))
            shared |= side.variables.own
        for number, case in enumerate(cases):
            findings.append(await _play(case, shared, reference, candidate, _address(2, number)))
            advance()
    finally:
        await reference.close()
        await candidate.close()
    return findings


async def _play(case: Case, shared: Mapping[str, str], reference: Line, candidate: Line, address: str) -> Finding:
    first = _Variables(shared)
    sides = _Side(reference, first), _Side(candidate, _Variables(shared) if case.story else first)
    told = await asyncio.gather(*(side.tell(case.steps, address) for side in sides), return_exceptions=True)
    found = []
    for number, step in enumerate(case.steps):
        if any(len(side.answers) <= number for side in sides):
            break
        left, right = (side.named(side.answers[number]) for side in sides)
        where = f"step {number + 1}: " if len(case.steps) > 1 else ""
        found += [f"{where}{difference}" for difference in differences(left, right, step.lenient)]
    for name, error in zip(("reference", "candidate"), told, strict=True):
        if isinstance(error, CaseError | OSError):
            found.append(f"the {name} could not be asked all of it: {error}")
        elif error is not None:
            raise error
    return Finding(case, tuple(found))


def _may_repeat(step: Step) -> bool:
    """Whether to ask for the same three times, on one connection, and to compare the first and the last answer.

    A gateway may know by then what the request means, and have its answer.
    """
    return step.ask.method == "GET" and step.ask.raw is None and step.ask.body is None and step.until is None


def _address(kind: int, number: int) -> str:
    return f"10.{kind}.{number // 250}.{number % 250 + 1}"


def _member(step: Step, answers: Sequence[Answer], path: str) -> str:
    """A member of the JSON document that a request was answered with, or ``header:name``."""
    try:
        answer = answers[-1]
        if path.startswith("header:"):
            return answer.headers[path.removeprefix("header:")][0]
        value: Any = json.loads(answer.body)
        for part in path.split("."):
            value = value[int(part) if isinstance(value, list) else part]
    except (LookupError, ValueError, TypeError) as error:
        said = f"{answers[-1].status} {answers[-1].body[:300]!r}" if answers else "nothing"
        message = f"{step.ask.method} {step.ask.target} has no {path}: it was answered with {said}"
        raise CaseError(message) from error
    return str(value)


def ask_of(case: Case) -> Ask:
    """The only request of a case, its variables not filled in."""
    return case.steps[0].ask
