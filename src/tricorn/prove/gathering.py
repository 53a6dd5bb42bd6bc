"""The inputs of a verification: conformance cases, recorded calls, and what is generated from what these have shown."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from google.protobuf.message import DecodeError, Message

from tricorn.conformance import Case, CaseError, load_cases
from tricorn.contract import MethodPolicy
from tricorn.host import resolve
from tricorn.host.targets import short_name
from tricorn.prove.errors import ProveError
from tricorn.prove.inputs.mix import CASES, RECORDINGS, Hook, Input, Mix
from tricorn.prove.plan import Plan
from tricorn.prove.recording import Recording
from tricorn.prove.reference import Request


@dataclass(frozen=True, slots=True)
class Inputs:
    """``count`` requests in all; ``remarks`` are sentences about what could not be read."""

    count: int
    each: Iterator[Input]
    remarks: tuple[str, ...]


def inputs_of(plan: Plan) -> Inputs:
    """All inputs, those that are given first.

    Raises:
        ProveError: A case or a recording cannot be used.
    """
    remarks: list[str] = []
    cases, calls = cases_of(plan), list(_recorded(plan, remarks))
    seen: dict[str, list[Message]] = {policy.full_name: [] for policy in plan.policies}
    for case in cases:
        seen[case.policy.full_name].append(case.request)
    given = [Input(CASES, case.id, Request(case.policy.full_name, _bytes(case.request), case.caller)) for case in cases]
    for policy, message, name in calls:
        seen[policy.full_name].append(message)
        given.append(Input(RECORDINGS, name, Request(policy.full_name, _bytes(message))))
    mix = Mix(plan.policies, seen, hook_of(plan), plan.seed)
    return Inputs(len(given) + plan.inputs, chain(given, mix.generated(plan.inputs)), tuple(remarks))


def cases_of(plan: Plan, *, with_state: bool = False) -> list[Case]:
    """The conformance cases of the methods; those that need rows only ``with_state``.

    Raises:
        ProveError: A file of cases is wrong.
    """
    folder = plan.manifest.root / "conformance"
    if not folder.is_dir():
        return []
    try:
        cases = load_cases(plan.manifest, folder, [plan.target.contract])
    except CaseError as error:
        raise ProveError(str(error), remedy="mend the case; `tricorn conformance` plays them") from error
    names = {policy.full_name for policy in plan.policies}
    return [case for case in cases if case.policy.full_name in names and (with_state or not case.state)]


def _recorded(plan: Plan, remarks: list[str]) -> Iterator[tuple[MethodPolicy, Message, str]]:
    """The requests of the recordings, with the name of the file."""
    policies = {policy.name: policy for policy in plan.policies}
    for path in plan.recordings:
        recording = Recording.open(path)
        if recording.header.contract != plan.target.contract:
            raise ProveError(
                f"{path} is a recording of {recording.header.contract}, not of {plan.target.contract}",
                remedy="name one of this contract, or leave --recording out",
            )
        changes = recording.changes(plan.policies[0].descriptor.containing_service)
        if changes:
            raise ProveError(f"{path} is of an older contract: {'; '.join(changes)}", remedy="record again")
        for call in recording.calls():
            policy = policies.get(call.method)
            if policy is not None:
                try:
                    message = policy.input.FromString(call.request)
                except DecodeError as error:
                    what = f"{path}: a request of {call.method} cannot be read"
                    raise ProveError(what, remedy="record again") from error
                yield policy, message, path.name
        if recording.broken:
            remarks.append(f"{path} broke off {recording.broken}; what is before that was asked")


def hook_of(plan: Plan) -> Hook | None:
    """The application's own generator for a contract (``[verify.NAME] generator`` in tricorn.toml)."""
    for name, said in plan.manifest.verify.items():
        if name in {plan.target.contract, short_name(plan.target.contract)} and said.generator:
            hook: Callable[[random.Random, str], Message | None] = resolve(said.generator)
            return hook
    return None


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
