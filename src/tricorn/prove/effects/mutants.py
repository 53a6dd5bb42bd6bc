"""Tries mutants of a reference with effects: a child of this process hosts it with the fault in it, on a database, and plays sequences until
one is answered otherwise or leaves another state.
"""

import asyncio
import os
import pickle
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

from tricorn.contract import method_policy, service_policies
from tricorn.host import Manifest, load_manifest
from tricorn.host.cpu import follow_the_parent
from tricorn.prove.effects.comparing import Side, names_of, repeat, translated
from tricorn.prove.effects.here import Here
from tricorn.prove.effects.hosting import Data, hosted_on
from tricorn.prove.effects.sequences import CallSequence, Flow, Planned, given_fields
from tricorn.prove.effects.state import State, Tables, renamed, state_differences
from tricorn.prove.errors import ProveError
from tricorn.prove.mutants.plant import Mutant
from tricorn.prove.mutants.trial import BROKEN, ENDLESS, KILLED, SURVIVED, Planter, Trial, Verdict, forked
from tricorn.prove.outcome import Outcome, compare
from tricorn.prove.reference import Site
from tricorn.telemetry import configure_logging

SECONDS = 5.0
"""CPU for which a mutant that is not noticed is tried."""

_LOOK_SECONDS = 60.0
_START_SECONDS = 30.0


class Told(NamedTuple):
    """A sequence with what the reference made of it, in a form that another process understands."""

    sequence: CallSequence
    calls: tuple[tuple[str, bytes, tuple[Flow, ...]], ...]
    outcomes: tuple[Outcome, ...]
    state: State


class Place(NamedTuple):
    """Where mutants are tried: the first of what a trial is given."""

    data: Data
    environment: Mapping[str, str]
    queries: tuple[str, ...]
    emptied: tuple[str, ...]
    """The tables that are emptied between sequences."""


def told(sequence: CallSequence, outcomes: tuple[Outcome, ...], state: State) -> Told:
    calls = tuple(
        (call.policy.full_name, call.request.SerializeToString(deterministic=True), call.flows)
        for call in sequence.calls
    )
    return Told(replace(sequence, calls=()), calls, outcomes, state)


class _Here:
    manifest: Manifest
    site: Site
    place: Place
    told: Sequence[Told]


def prepare(site: Site, inputs: Path) -> None:
    """The beginning of a process of the pool. ``inputs`` holds a pickled list of a `Place` and `Told`s."""
    follow_the_parent()
    configure_logging("mutant", level="critical")
    _Here.site = site
    _Here.manifest = load_manifest(site.root)
    _Here.manifest.activate()
    _Here.place, *_Here.told = pickle.loads(inputs.read_bytes())  # noqa: S301 - written by the process that started this one
    os.environ.update(_Here.place.environment)


def entered(_: int) -> set[tuple[str, str]]:
    """(file, qualified name) of every function that is entered while the sequences are played.

    Raises:
        ProveError: The reference does not give again what it gave, though nothing was planted: nothing could be said of mutants.
    """
    said = pickle.loads(forked(_entered_here, 2 * _LOOK_SECONDS) or pickle.dumps("it died"))  # noqa: S301 - our own child's
    if isinstance(said, str):
        number = int(said.split()[-1]) - 1 if said[-1].isdigit() else -1
        which = _Here.told[number].sequence if number >= 0 else None
        name = "" if which is None else f": {which.name or f'sequence {which.number}'}"
        raise ProveError(
            f"the reference without a fault does not give again what it gave ({said}{name})",
            remedy="something that is compared hangs on the time or on the process; leave it out of the state, or say --mutants 0",
        )
    return said  # type: ignore[no-any-return]


def attempt(mutant: Mutant, order: Sequence[int], seconds: float) -> Verdict:
    """Tries a mutant with the sequences of these numbers, in this order; the first of the inputs is no sequence."""
    numbers = [number - 1 for number in order if number]

    def work() -> bytes:
        sys.meta_path.insert(0, Planter(mutant))
        return _try(numbers, seconds)

    said = forked(work, seconds + _START_SECONDS)
    if said is None:
        return Verdict(mutant, ENDLESS)
    result, asked, number = said.decode().split()
    return Verdict(mutant, result, int(asked), int(number))


def _try(numbers: Sequence[int], seconds: float) -> bytes:
    try:
        return asyncio.run(_played(numbers, seconds))
    except Exception:  # noqa: BLE001 - whatever it is, nobody overlooks it
        return f"{BROKEN} 0 -1".encode()


async def _played(numbers: Sequence[int], seconds: float) -> bytes:
    until = time.process_time() + seconds
    asked = 0
    place = _Here.place
    async with (
        hosted_on(_Here.manifest, _Here.site, place.data) as process,
        Tables(place.data, place.emptied) as tables,
    ):
        for number in numbers:
            each = _Here.told[number]
            sequence = _planned(each)
            asked += len(sequence.calls)
            outcomes, state = await repeat(Side(Here(process.service), tables), sequence, place.queries)
            if _differs(sequence, each, outcomes, state):
                return f"{KILLED} {asked} {number + 1}".encode()
            if time.process_time() > until:
                break
    return f"{SURVIVED} {asked} -1".encode()


def _planned(each: Told) -> CallSequence:
    calls = []
    for name, payload, flows in each.calls:
        policy = method_policy(name)
        calls.append(Planned(policy, policy.input.FromString(payload), "", flows))
    return replace(each.sequence, calls=tuple(calls))


def _differs(sequence: CallSequence, each: Told, outcomes: Sequence[Outcome], state: State) -> bool:
    given = given_fields(service_policies(_Here.site.contract))
    names = names_of(sequence, each.outcomes, outcomes, given)
    for call, expected, actual in zip(sequence.calls, each.outcomes, outcomes, strict=True):
        if compare(call.policy, expected, translated(actual, names)).differences:
            return True
    return bool(state_differences(_Here.place.queries, each.state, renamed(state, names)))


def _entered_here() -> bytes:
    """What is entered, or which sequence is answered otherwise although nothing was changed."""
    found: set[tuple[str, str]] = set()
    root = str(_Here.site.root)

    def see(frame: Any, event: str, argument: object) -> None:
        code: CodeType = frame.f_code
        if event == "call" and code.co_filename.startswith(root):
            found.add((code.co_filename, code.co_qualname))

    sys.setprofile(see)
    said = _try(range(len(_Here.told)), _LOOK_SECONDS)
    sys.setprofile(None)
    return pickle.dumps(found if said.startswith(SURVIVED.encode()) else said.decode())


SEQUENCES = Trial(prepare, entered, attempt)
"""Sequences that are played one by one; see `Told`."""
