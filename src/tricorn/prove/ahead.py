"""Inputs drawn in a process of their own, ahead of the judge that asks them: each has a core to itself."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from tricorn.host import load_manifest
from tricorn.host.cpu import follow_the_parent
from tricorn.host.targets import Target
from tricorn.prove.errors import ProveError
from tricorn.prove.gathering import Inputs, inputs_of
from tricorn.prove.inputs.mix import Input
from tricorn.prove.plan import Plan

_BATCH = 256
_STOP_SECONDS = 5.0


class _Wanted(NamedTuple):
    """A plan as another process can read it."""

    root: Path
    target: Target
    against: str
    home: Path
    inputs: int
    seed: int
    recordings: tuple[Path, ...]

    def plan(self) -> Plan:
        manifest = load_manifest(self.root)
        manifest.activate()
        return Plan(manifest, self.target, self.against, self.home, self.inputs, self.seed, self.recordings)


class _Refused(NamedTuple):
    """A `ProveError` on its way."""

    what: str
    remedy: str


@contextmanager
def drawn_ahead(plan: Plan) -> Iterator[Inputs]:
    """What `inputs_of` gives, in the same order, as long as the block runs.

    Raises:
        ProveError: A case or a recording cannot be used, or the process that draws died.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    wanted = _Wanted(plan.manifest.root, plan.target, plan.against, plan.home, plan.inputs, plan.seed, plan.recordings)
    process = spawn.Process(target=_draw, args=(wanted, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        count, remarks = _received(ours)
        yield Inputs(count, _each(ours), remarks)
    finally:
        ours.close()
        process.terminate()
        process.join(_STOP_SECONDS)


def _draw(wanted: _Wanted, to: Connection) -> None:
    """The other process: it is stopped by the parent, by the end of what it draws, or by the end of the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    follow_the_parent()
    with suppress(BrokenPipeError):
        try:
            inputs = inputs_of(wanted.plan())
        except ProveError as error:
            to.send(_Refused(error.what, error.remedy))
            return
        to.send((inputs.count, inputs.remarks))
        while batch := list(islice(inputs.each, _BATCH)):
            to.send(batch)
        to.send([])


def _each(inputs: Connection) -> Iterator[Input]:
    while batch := _received(inputs):
        yield from batch


def _received(inputs: Connection) -> Any:
    try:
        found = inputs.recv()
    except EOFError as error:
        raise ProveError("the process that draws the inputs died", remedy="look whether memory ran out") from error
    if isinstance(found, _Refused):
        raise ProveError(found.what, remedy=found.remedy)
    return found
