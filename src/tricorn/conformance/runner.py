"""Plays cases against an implementation and says where the answers are not the expected ones."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from google.protobuf import json_format
from google.protobuf.message import Message

from tricorn.conformance.cases import Case
from tricorn.conformance.gaps import Gap
from tricorn.conformance.targets import Calls, Target
from tricorn.contract import Refusal, service_policies
from tricorn.contract.compare import differences
from tricorn.wire import call_scope

CASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case: ``findings`` is empty when it passed. ``gap`` is the known gap that it is listed as."""

    case: Case
    findings: tuple[str, ...]
    gap: Gap | None = None

    @property
    def passed(self) -> bool:
        """Met its expectation; a known gap meets it by failing."""
        return (not self.findings) == (self.gap is None)


async def play(case: Case, target: Target, gaps: Iterable[Gap] = ()) -> Outcome:
    """Plays one case. Whatever goes wrong, be it with the implementation or with the case's own state, is a finding."""
    gap = next((gap for gap in gaps if gap.case == case.id and gap.implementation == target.name), None)
    try:
        async with asyncio.timeout(CASE_SECONDS), target.answers(case) as calls:
            with call_scope(identity=case.caller, timeout=CASE_SECONDS, metadata=case.metadata):
                findings = await _findings(case, calls)
    except TimeoutError:
        findings = [f"it took longer than {CASE_SECONDS:.0f} s"]
    except Exception as error:  # noqa: BLE001 - one case that cannot be played must not end the others
        findings = [f"it could not be played: {type(error).__name__}: {error}"]
    return Outcome(case, tuple(findings), gap)


async def _findings(case: Case, calls: Calls) -> list[str]:
    try:
        answers = await _ask(case, calls)
    except Refusal as refusal:
        return _compare_refusal(case, refusal)
    if case.error is not None:
        return [
            f"expected {case.error.reason}, got the answer {_text(answers[0]) if answers else 'of an empty stream'}"
        ]
    if len(answers) != len(case.responses):
        more = " or more" if len(answers) > len(case.responses) else ""
        return [f"expected {len(case.responses)} answers, got {len(answers)}{more}"]
    pairs = list(zip(case.responses, answers, strict=True))
    found = [difference for pair in pairs for difference in differences(*pair)]
    return [
        *(str(difference) for difference in found if difference.path.partition(".")[0] not in case.ignore),
        *(
            f"{field}: expected exactly {getattr(expected, field)!r}, got {getattr(answer, field)!r}"
            for expected, answer in pairs
            for field in case.exact
            if getattr(expected, field) != getattr(answer, field)
        ),
    ]


async def _ask(case: Case, calls: Calls) -> list[Message]:
    if not case.policy.server_streaming:
        return [await calls.invoke(case.policy, case.request)]
    answers = []
    async with aclosing(calls.open_stream(case.policy, case.request)) as stream:  # type: ignore[type-var]
        async for answer in stream:
            answers.append(answer)
            if len(answers) > len(case.responses):
                break
    return answers


def _compare_refusal(case: Case, refusal: Refusal) -> list[str]:
    if case.error is None:
        return [f"expected an answer, got {refusal}"]
    findings = []
    if refusal.reason != case.error.reason:
        findings.append(f"expected {case.error.reason}, got {refusal}")
    fields = tuple(sorted({violation.field for violation in refusal.violations}))
    if case.error.violations and fields != tuple(sorted(set(case.error.violations))):
        findings.append(
            f"expected broken rules of {', '.join(case.error.violations)}, got {', '.join(fields) or 'none'}"
        )
    for key, value in case.error.metadata.items():
        if refusal.metadata.get(key) != value:
            findings.append(f"expected metadata {key}={value}, got {refusal.metadata.get(key)}")
    return findings


def unreached(cases: Sequence[Case], services: Iterable[str]) -> list[str]:
    """The methods of some contracts that no case reaches."""
    reached = {case.policy.full_name for case in cases}
    return [
        policy.full_name
        for service in services
        for policy in service_policies(service)
        if policy.full_name not in reached
    ]


def _text(message: Message) -> str:
    return json_format.MessageToJson(message, indent=None)
