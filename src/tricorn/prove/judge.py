"""The judge: asks the reference and the candidate the same, and compares."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from google.protobuf.message import DecodeError, Message

from tricorn.contract import MethodPolicy
from tricorn.contract.compare import Difference
from tricorn.prove.cache import AnswerCache, request_hash
from tricorn.prove.candidate import Candidate, CandidateError
from tricorn.prove.findings import MOST_KEPT, Findings, Mismatch
from tricorn.prove.gain import gain
from tricorn.prove.inputs.mix import DAMAGED, Input
from tricorn.prove.interrupt import taken_back
from tricorn.prove.mutants.trial import Asked
from tricorn.prove.outcome import GONE, LATE, REFUSED, UNREAD, Outcome, compare, has_violations
from tricorn.prove.reference import PATIENCE, Reference, Request
from tricorn.prove.shrink import shrink
from tricorn.prove.statement import request_line

TWICE = 100
"""One input in so many is answered twice by the reference."""

ENOUGH = 500
"""After so many differences there is nothing more to learn."""

_BATCH = 48
_BATCHES_AT_ONCE = 6
_QUICK = 0.01
_MOST_SHOWN = 5
_TRIES_ALONE = 3

Step = Callable[[Findings], None]


class Judge:
    """Judges one candidate.

    Args:
        policies: The methods that may be asked.
        step: Called after each batch, with what is known so far.
    """

    def __init__(
        self,
        policies: Sequence[MethodPolicy],
        reference: Reference,
        candidate: Candidate,
        cache: AnswerCache,
        step: Step | None = None,
    ) -> None:
        self._reference = reference
        self._candidate = candidate
        self._cache = cache
        self._step = step
        self._asked = 0
        self._for_mutants: list[tuple[float, Asked]] = []
        self.findings = Findings({policy.full_name: policy for policy in policies})

    async def judge(self, inputs: Iterable[Input]) -> Findings:
        """Compares what the two say to each input. When it is cancelled it returns with what it has; so it does after `ENOUGH` differences.

        Raises:
            CandidateError: The candidate went away, or is of another contract.
            ProveError: The reference went away.
        """
        began = time.monotonic()
        running: set[asyncio.Task[None]] = set()
        try:
            for batch in _batches(inputs):
                running.add(asyncio.create_task(self._judge(batch)))
                if len(running) >= _BATCHES_AT_ONCE:
                    running = await self._some_done(running)
                if self.findings.total_different >= ENOUGH:
                    break
            while running:
                running = await self._some_done(running)
        except asyncio.CancelledError:
            self.findings.interrupted = True
            taken_back()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self.findings.seconds += time.monotonic() - began
        return self.findings

    async def ask(self, input_: Input) -> tuple[Outcome, Outcome, tuple[Difference, ...]]:
        """What the two say to one input, computed now."""
        policy = self.findings.policies[input_.request.method]
        ((expected, _),) = await self._reference.answer([input_.request])
        actual = await self._candidate.ask(policy, input_.request)
        return expected, actual, compare(policy, expected, actual).differences

    def first_of_each_shape(self) -> list[Mismatch]:
        """One mismatch for each method and field that differs, as many as one reads."""
        shapes: dict[tuple[str, str], Mismatch] = {}
        for mismatch in self.findings.mismatches:
            shapes.setdefault(mismatch.shape, mismatch)
        return list(shapes.values())[:_MOST_SHOWN]

    async def gain(self) -> str:
        """What the candidate saves on the inputs that took the reference longest, in a few words."""

        async def ask(asked: Asked) -> None:
            await self._candidate.ask_alone(self.findings.policies[asked.request.method], asked.request)

        return await gain(self._for_mutants, ask)

    @property
    def for_mutants(self) -> list[Asked]:
        """The inputs with what the reference said, in no order but that slow ones come last; those near its limit of time are left out."""
        mixed = sorted(self._for_mutants, key=lambda each: (each[0] > _QUICK, request_hash(each[1].request)))
        return [asked for _, asked in mixed]

    async def smaller(self, mismatch: Mismatch) -> Mismatch:
        """The same kind of mismatch with a request as small as can be found; damaged bytes stay as they are."""
        policy = self.findings.policies[mismatch.input.request.method]
        request = mismatch.input.request
        try:
            message = policy.input.FromString(request.payload)
        except DecodeError:
            return mismatch
        last = mismatch

        async def still(smaller: Message) -> bool:
            nonlocal last
            asked = request._replace(payload=smaller.SerializeToString(deterministic=True))
            (expected, _), *_ = await self._reference.answer([asked])
            actual = await self._candidate.ask(policy, asked)
            differs = compare(policy, expected, actual).differences
            if not differs or (expected.kind, actual.kind) != (mismatch.expected.kind, mismatch.actual.kind):
                return False
            last = Mismatch(mismatch.input._replace(request=asked), expected, actual, differs, mismatch.repeated)
            return True

        await shrink(message, still)
        return last

    async def _some_done(self, running: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
        done, rest = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if self._step is not None:
            self._step(self.findings)
        return rest

    async def _judge(self, batch: Sequence[Input]) -> None:
        requests = [input_.request for input_ in batch]
        policies = [self.findings.policies[request.method] for request in requests]
        asking = asyncio.gather(
            *(self._candidate.ask(policy, request) for policy, request in zip(policies, requests, strict=True))
        )
        expected, actual = await asyncio.gather(self._expected(requests), asking)
        for input_, policy, one, other in zip(batch, policies, expected, actual, strict=True):
            await self._compare(input_, policy, one, other)
        self._asked += len(batch)
        if self._asked // TWICE > (self._asked - len(batch)) // TWICE:
            await self._ask_again(batch, expected)

    async def _expected(self, requests: Sequence[Request]) -> list[Outcome]:
        known = self._cache.get(requests)
        unknown = [request for request, found in zip(requests, known, strict=True) if found is None]
        fresh = await self._reference.answer(unknown) if unknown else []
        self._cache.put(unknown, fresh)
        self.findings.cached += len(requests) - len(unknown)
        self.findings.reference_seconds += sum(seconds for _, seconds in fresh)
        answers = iter(fresh)
        both = [found or next(answers) for found in known]
        self._for_mutants += [
            (seconds, Asked(request, outcome))
            for request, (outcome, seconds) in zip(requests, both, strict=True)
            if outcome.kind != LATE and seconds < self.findings.policies[request.method].deadline / (4 * PATIENCE)
        ]
        return [outcome for outcome, _ in both]

    async def _compare(self, input_: Input, policy: MethodPolicy, expected: Outcome, actual: Outcome) -> None:
        actual = _understood(input_, expected, actual)
        if actual.kind in {GONE, LATE} and expected.kind != LATE:
            actual = await self._asked_alone(input_, policy, actual)
        if actual.code == _NOT_THERE and expected.code != _NOT_THERE:
            raise CandidateError(
                f"the candidate does not implement {policy.name} of {policy.service}",
                remedy="it is of another contract, or of an older one: build it anew, or name another with --against",
            )
        comparison = compare(policy, expected, actual)
        mismatch = self.findings.take(input_, expected, actual, comparison)
        if mismatch is not None and len(self.findings.mismatches) < MOST_KEPT:
            again = _understood(input_, expected, await self._candidate.ask(policy, input_.request))
            repeated = bool(compare(policy, expected, again).differences)
            self.findings.mismatches.append(Mismatch(input_, expected, actual, mismatch.differences, repeated=repeated))

    async def _asked_alone(self, input_: Input, policy: MethodPolicy, first: Outcome) -> Outcome:
        """A late answer may be this machine's fault, so it is asked for again, while nothing else is. Who went away may come back."""
        if first.kind == GONE and not await self._candidate.lives():
            raise CandidateError(
                f"the candidate went away while it was asked {policy.name} ({first.payload.decode(errors='replace')})",
                remedy=f"look at its log; this was asked among others: {request_line(policy, input_.request)}",
            )
        for _ in range(_TRIES_ALONE):
            again = await self._candidate.ask_alone(policy, input_.request)
            if again.kind not in {GONE, LATE}:
                self.findings.notes[f"{first.kind} at first, in time when asked again"] += 1
                return again
        return again

    async def _ask_again(self, batch: Sequence[Input], expected: Sequence[Outcome]) -> None:
        """Puts one request of a batch to the reference a second time."""
        index = self._asked // TWICE % len(batch)
        input_, first = batch[index], expected[index]
        policy = self.findings.policies[input_.request.method]
        if first.kind == LATE:
            return
        (second,) = await self._reference.answer_again([input_.request])
        self.findings.asked_twice += 1
        self.findings.weigh(policy, first)
        comparison = compare(policy, first, second)
        if comparison.differences:
            self.findings.unsteady.append(Mismatch(input_, first, second, comparison.differences))


def _understood(input_: Input, expected: Outcome, actual: Outcome) -> Outcome:
    """Servers have different words for bytes that they cannot read, but none names a broken rule for it."""
    if input_.name != DAMAGED or actual == expected or actual.kind != REFUSED or actual.code not in _UNREADABLE:
        return actual
    return actual if has_violations(actual) else Outcome(UNREAD)


_NOT_THERE = "UNIMPLEMENTED"
_UNREADABLE = {"INTERNAL", "INVALID_ARGUMENT", "UNKNOWN"}


def _batches(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    iterator = iter(inputs)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
