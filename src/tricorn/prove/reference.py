"""The Python reference, answering in processes of its own: the contract's server behind the same skin as in production, with validation."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple, Self

from google.protobuf.message import DecodeError

from tricorn.contract import MethodPolicy, Refusal, method_policy
from tricorn.data import Database
from tricorn.host import Manifest, Process, Settings, load_manifest
from tricorn.host.cpu import follow_the_parent
from tricorn.prove.errors import ProveError
from tricorn.prove.outcome import ANSWERED, LATE, REFUSED, UNREAD, Outcome
from tricorn.prove.sources import owner_of
from tricorn.telemetry import configure_logging
from tricorn.wire import Call, Identity, Service
from tricorn.wire.errors import to_status


class Request(NamedTuple):
    """What both implementations are asked. ``caller`` is who asks, for methods that depend on it."""

    method: str
    payload: bytes
    caller: Identity | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """Where the reference is: all that another process needs to host it."""

    root: Path
    contract: str
    home: Path
    """The application's state, shared with a candidate that keeps some (a signer's keys)."""


def hosted(site: Site) -> Service:
    """The contract's server, with validation and errors as in production. Databases stay closed: only contracts that need none can answer."""
    manifest = load_manifest(site.root)
    manifest.activate()
    return hosted_of(manifest, site)


def hosted_of(manifest: Manifest, site: Site) -> Service:
    """As `hosted`, for a manifest that is active."""
    process = Process(
        manifest,
        "verify",
        [owner_of(manifest, site.contract)],
        lambda context: Database("postgresql://verify@127.0.0.1:1/none", name=f"verify-{context}"),
        site.home,
        settings=Settings(cpu_workers=0),
    )
    return process.service


class _TooLate(BaseException):
    """The reference used more CPU than the judge grants it."""


PATIENCE = 8
"""A request may take the reference this part of the time that its contract gives it: a few that take seconds would outweigh thousands."""

RING_AGAIN = 0.001
"""Seconds of CPU until a request that is late is rung for again, when it could not be stopped where it was."""

RINGS = 200
"""After so many it is stopped wherever it is."""

RING_ANEW = 0.05
"""Seconds of CPU until a request that was stopped, and goes on nevertheless, is rung for anew."""

_STANDARD_LIBRARY = sysconfig.get_path("stdlib")
_INSTALLED = sysconfig.get_path("purelib")


class Answering:
    """Answers requests in this process. The time of each (see `PATIENCE`) is counted in CPU: a busy machine changes no outcome."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rings_left = 0
        signal.signal(signal.SIGPROF, self._ring)

    def answer(self, requests: Sequence[Request]) -> list[tuple[Outcome, float]]:
        """The outcome of each, and the seconds it took."""
        return asyncio.run(self.answer_all(requests))

    async def answer_all(self, requests: Sequence[Request]) -> list[tuple[Outcome, float]]:
        outcomes = []
        for request in requests:
            began = time.perf_counter()
            outcome = await self._answer(request)
            outcomes.append((outcome, time.perf_counter() - began))
        return outcomes

    async def _answer(self, request: Request) -> Outcome:
        policy = method_policy(request.method)
        try:
            message = policy.input.FromString(request.payload)
        except DecodeError:
            return Outcome(UNREAD)
        # The limit is CPU; the clock's is there only so that nothing waits for ever.
        call = Call(policy.full_name, request.caller, time.monotonic() + 20 * policy.deadline)
        try:
            with self._limited(policy):
                answer = await self._service.serve(policy.full_name, message, call)
        except _TooLate:
            return Outcome(LATE, "DEADLINE_EXCEEDED")
        except Refusal as refusal:
            code, status = to_status(refusal)
            return Outcome(REFUSED, code.name, status)
        return Outcome(ANSWERED, "OK", answer.SerializeToString(deterministic=True))

    @contextmanager
    def _limited(self, policy: MethodPolicy) -> Iterator[None]:
        self._rings_left = RINGS
        signal.setitimer(signal.ITIMER_PROF, policy.deadline / PATIENCE, RING_AGAIN)
        try:
            yield
        finally:
            self._rings_left = 0
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if not self._rings_left:
            return
        self._rings_left -= 1
        if self._rings_left and frame is not None and _may_swallow(frame):
            return
        self._rings_left = RINGS
        signal.setitimer(signal.ITIMER_PROF, RING_ANEW, RING_AGAIN)
        raise _TooLate


def _may_swallow(frame: FrameType) -> bool:
    """Whether an error raised here could be lost: the standard library's callbacks of weak references and finalisers, and whatever the garbage
    collector calls, print it and go on.
    """
    path = frame.f_code.co_filename
    if path.startswith("<frozen ") or (path.startswith(_STANDARD_LIBRARY) and not path.startswith(_INSTALLED)):
        return True
    collecting = {getattr(each, "__code__", None) for each in gc.callbacks}
    return any(each.f_code in collecting for each in _with_callers(frame))


def _with_callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


_answering: Answering | None = None


def start_answering(site: Site) -> None:
    """The beginning of a process that answers."""
    global _answering  # noqa: PLW0603 - one process, one reference
    follow_the_parent()
    configure_logging("verify", level="critical")  # what inputs provoke is in their outcomes
    _answering = Answering(hosted(site))


def _answer_here(requests: Sequence[Request]) -> list[tuple[Outcome, float]]:
    if _answering is None:
        raise ProveError("this process has not begun to answer", remedy="ask it through `Reference`")
    return _answering.answer(requests)


class Reference:
    """Processes that answer, and one more that is asked again: with another seed for the order of sets, so that what hangs on it shows.

    With no workers the answers are computed here, the second ones, too. An async context manager.
    """

    def __init__(self, site: Site, workers: int) -> None:
        self._site = site
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._second: ProcessPoolExecutor | None = None
        self._here: Answering | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        if self._workers:
            self._pool = self._started(self._workers)
        else:
            self._here = Answering(hosted(self._site))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._pool, self._second):
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in list((pool._processes or {}).values()):  # noqa: SLF001 - what they compute is of no use to anyone now
                    process.terminate()
        self._pool = self._second = self._here = None

    async def answer(self, requests: Sequence[Request]) -> list[tuple[Outcome, float]]:
        """The outcomes, in order, with the seconds that each took.

        Raises:
            ProveError: A process of the reference died.
        """
        return await self._ask(self._pool, requests)

    async def answer_again(self, requests: Sequence[Request]) -> list[Outcome]:
        """The outcomes from the other process."""
        if self._second is None and self._workers:
            self._second = self._started(1)
        return [outcome for outcome, _ in await self._ask(self._second, requests)]

    async def _ask(self, pool: ProcessPoolExecutor | None, requests: Sequence[Request]) -> list[tuple[Outcome, float]]:
        if self._here is not None:
            async with self._one_at_a_time:
                return await self._here.answer_all(requests)
        if pool is None:
            raise ProveError("the reference is not started", remedy="enter its context first")
        try:
            return await asyncio.wrap_future(pool.submit(_answer_here, requests))
        except BrokenProcessPool as error:
            raise ProveError(
                "a process of the Python reference died, or could not begin",
                remedy="`tricorn conformance` shows whether it works at all",
            ) from error

    def _started(self, workers: int) -> ProcessPoolExecutor:
        os.environ.pop("PYTHONHASHSEED", None)  # each process draws its own
        return ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start_answering,
            initargs=(self._site,),
        )


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder for state that nobody needs afterwards."""
    with tempfile.TemporaryDirectory(prefix="tricorn-verify-") as folder:
        yield Path(folder)


logging.getLogger("concurrent.futures").setLevel(
    logging.CRITICAL
)  # a process that cannot begin is told by an error of ours
