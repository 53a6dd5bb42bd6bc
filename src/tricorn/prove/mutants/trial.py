"""Tries one mutant: a process of its own hosts the reference with the fault in it and answers the inputs until one shows it.

Each process of the pool that runs this has loaded the platform and the contracts, not the application. For a mutant it forks; the child loads
the application with the mutant in place of the module and compares what it answers with what the reference did.
"""

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pickle
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple, NoReturn

from tricorn.contract import Refusal, method_policy, validate
from tricorn.host import Manifest, load_manifest
from tricorn.host.cpu import follow_the_parent
from tricorn.prove.mutants.plant import Mutant, planted
from tricorn.prove.outcome import Outcome, compare
from tricorn.prove.reference import Answering, Request, Site, hosted_of
from tricorn.telemetry import configure_logging

KILLED, SURVIVED, BROKEN, ENDLESS = "killed", "survived", "broken", "endless"
"""An input was answered otherwise; none was; the module cannot even be loaded; it did not answer, or took too much memory. Only the second is not
noticed."""

_ROUND = 16
_SLOWEST = 20
"""A busy machine may give a mutant so much less CPU than there are seconds; after that it is endless."""

_MOST_MEMORY = 1 << 30
"""Bytes that a mutant may take beyond what its process has."""


class Asked(NamedTuple):
    """An input with what the reference said."""

    request: Request
    expected: Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant. ``input`` is the number of the input that showed it, ``asked`` how many it was asked."""

    mutant: Mutant
    result: str
    asked: int = 0
    input: int = -1

    @property
    def noticed(self) -> bool:
        return self.result != SURVIVED


class Trial(NamedTuple):
    """How a mutant is tried, as functions of a process of the pool: `prepare`, `entered` and `attempt`, or others like them."""

    prepare: Callable[[Site, Path], None]
    entered: Callable[[int], set[tuple[str, str]]]
    attempt: Callable[[Mutant, Sequence[int], float], "Verdict"]


class _Here:
    """What a process of the pool keeps."""

    manifest: Manifest
    site: Site
    asked: Sequence[Asked]


def prepare(site: Site, inputs: Path) -> None:
    """The beginning of a process of the pool. ``inputs`` holds a pickled list of `Asked`."""
    follow_the_parent()
    configure_logging("mutant", level="critical")
    _Here.site = site
    _Here.manifest = load_manifest(site.root)
    _Here.manifest.activate()
    _Here.asked = pickle.loads(inputs.read_bytes())  # noqa: S301 - written by the process that started this one
    for name in {asked.request.method for asked in _Here.asked}:
        # What is compiled on first use is compiled once, before the forks.
        try:
            validate(method_policy(name).input())
        except Refusal:
            continue


def entered(most: int) -> set[tuple[str, str]]:
    """(file, qualified name) of every function that is entered while the first inputs are answered."""
    return pickle.loads(forked(lambda: pickle.dumps(_entered_here(most)), 120.0) or pickle.dumps(set()))  # type: ignore[no-any-return]  # noqa: S301


def attempt(mutant: Mutant, order: Sequence[int], seconds: float) -> Verdict:
    """Tries a mutant with the inputs of these numbers, in this order, for so many seconds of CPU at most."""
    said = forked(lambda: _try(mutant, order, seconds), seconds * _SLOWEST + 30)
    if said is None:
        return Verdict(mutant, ENDLESS)
    result, asked, number = said.decode().split()
    return Verdict(mutant, result, int(asked), int(number))


def forked(work: Callable[[], bytes], seconds: float) -> bytes | None:
    """What ``work`` gives in a child; None when it dies or takes longer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _be_the_child(work, writer)
    os.close(writer)
    said = b""
    until = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
        part = os.read(reader, 1 << 16) if ready else b""
        if not part:
            break
        said += part
    os.close(reader)
    # It has said what it had to say, or never will.
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return said or None


def _be_the_child(work: Callable[[], bytes], writer: int) -> NoReturn:
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        in_use = (
            int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            if sys.platform == "linux"
            else 0
        )
        if in_use:
            resource.setrlimit(resource.RLIMIT_AS, (in_use + _MOST_MEMORY, resource.RLIM_INFINITY))
        os.write(writer, work())
        status = 0
    finally:
        os._exit(status)


def _try(mutant: Mutant, order: Sequence[int], seconds: float) -> bytes:
    until = time.process_time() + seconds
    sys.meta_path.insert(0, Planter(mutant))
    try:
        answering = Answering(hosted_of(_Here.manifest, _Here.site))
    except Exception:  # noqa: BLE001 - whatever it is, nobody overlooks it
        return f"{BROKEN} 0 -1".encode()
    for begin in range(0, len(order), _ROUND):
        numbers = order[begin : begin + _ROUND]
        answers = answering.answer([_Here.asked[number].request for number in numbers])
        for place, (number, (actual, _)) in enumerate(zip(numbers, answers, strict=True)):
            asked = _Here.asked[number]
            if compare(method_policy(asked.request.method), asked.expected, actual).differences:
                return f"{KILLED} {begin + place + 1} {number}".encode()
        if time.process_time() > until:
            return f"{SURVIVED} {begin + len(numbers)} -1".encode()
    return f"{SURVIVED} {len(order)} -1".encode()


def _entered_here(most: int) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    root = str(_Here.site.root)

    def see(frame: object, event: str, argument: object) -> None:
        code: CodeType = frame.f_code  # type: ignore[attr-defined]
        if event == "call" and code.co_filename.startswith(root):
            found.add((code.co_filename, code.co_qualname))

    sys.setprofile(see)
    answering = Answering(hosted_of(_Here.manifest, _Here.site))
    answering.answer([asked.request for asked in _Here.asked[:most]])
    sys.setprofile(None)
    return found


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_file_location(
            fullname,
            self._mutant.path,
            loader=self,
            submodule_search_locations=[str(self._mutant.path.parent)]
            if self._mutant.path.name == "__init__.py"
            else None,
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        tree: ast.Module = planted(self._mutant.path, self._mutant.number)
        exec(compile(tree, str(self._mutant.path), "exec"), module.__dict__)  # noqa: S102 - that is what a mutant is


ASKED = Trial(prepare, entered, attempt)
"""Inputs that are asked one by one; see `Asked`."""
