"""A small load of its own on a target: the requests of its conformance cases, over and over, by the bindings of a running system."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from tricorn.conformance import load_cases
from tricorn.contract import MethodPolicy, PlatformReason, Refusal
from tricorn.prove.errors import ProveError
from tricorn.telemetry import CallStats
from tricorn.wire import BindingsFile, Endpoints, Identity, Service, Wire, call_scope
from tricorn.wire.bindings import BINDINGS_FILE
from tricorn.wire.endpoints import ENDPOINTS_FILE, EndpointsFile
from tricorn.wire.resilience import Breaker

if TYPE_CHECKING:
    from tricorn.host.manifest import Manifest
    from tricorn.host.targets import Target

_POLL_SECONDS = 0.05
_PAUSE_SECONDS = 0.01
_AT_ONCE = 4
_IN_A_ROW = 20
_MOST = 60
_QUICK = 0.2
"""The share of its deadline within which a call must be answered to be of the load."""


@dataclass(frozen=True)
class Request:
    """One call to make."""

    policy: MethodPolicy
    message: Message
    caller: Identity | None


def requests_of(manifest: Manifest, target: Target) -> list[Request]:
    """What the conformance cases of a target ask, without calls that may have an effect and without streams. The application is active.

    Raises:
        ProveError: Nothing is left.
    """
    cases = load_cases(manifest, manifest.root / "conformance", [target.contract])
    found = [
        Request(case.policy, case.request, case.caller)
        for case in cases
        if case.policy.service == target.contract
        and target.method in {None, case.policy.name}
        and case.policy.safe
        and not (case.policy.client_streaming or case.policy.server_streaming)
    ]
    if not found:
        raise ProveError(
            f"no conformance case of {target.short} calls a method without side effects, so there is no load to rehearse with",
            remedy=f"add cases below {manifest.root / 'conformance'}",
        )
    return found


class Load:
    """Calls that go on until the block of `running` ends.

    ``failed`` counts the calls that were answered by a broken server's refusal (UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL).
    """

    def __init__(self, home: Path, requests: Sequence[Request]) -> None:
        self.calls = 0
        self.failed = 0
        self.last_failure = ""
        self._requests = requests
        self._bindings = BindingsFile(home / BINDINGS_FILE)
        self._places = EndpointsFile(home / ENDPOINTS_FILE)
        self._endpoints = Endpoints(Service(CallStats()))
        self._wire = Wire(self._endpoints)
        self._wire.taps.append(self)
        self._in_a_row = ("", 0)
        self._since = self._turned = 0.0
        self._answered = asyncio.Event()

    def begin(
        self, policy: MethodPolicy, request: Message, call: object
    ) -> Callable[[Message | Refusal, float, str], None]:
        """Sees each call; a tap of the wire."""
        began = time.monotonic()

        def finish(outcome: Message | Refusal, seconds: float, implementation: str) -> None:
            if began < self._since:
                return
            name, times = self._in_a_row
            if name != implementation:
                self._turned, times = time.monotonic(), 0
            self._in_a_row = (implementation, times + 1)
            self._answered.set()

        return finish

    async def choose(self) -> None:
        """Keep only what is answered now, and in good time: what fails or is late of itself would say nothing about a move.

        Raises:
            ProveError: Nothing is left.
        """
        self._follow()
        step = max(1, len(self._requests) // _MOST)
        kept = [request for request in self._requests[::step] if await self._is_quick(request)]
        if not kept:
            why = f"; the last failure: {self.last_failure}" if self.last_failure else ""
            raise ProveError(
                f"no conformance case is answered well within its deadline, so there is no load to rehearse with{why}",
                remedy="`tricorn status` and `tricorn logs` say what is wrong, or the machine is too busy",
            )
        self._requests = kept
        self.failed = 0

    async def _is_quick(self, request: Request) -> bool:
        failed, began = self.failed, time.monotonic()
        await self._call(request)
        return self.failed == failed and time.monotonic() - began < request.policy.deadline * _QUICK

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        """The calls go on within the block; none is cut off at its end."""
        stop = asyncio.Event()
        self._follow()
        tasks = [asyncio.create_task(self._keep_following(stop))]
        rounds = itertools.cycle(self._requests)
        tasks += [asyncio.create_task(self._keep_calling(rounds, stop)) for _ in range(_AT_ONCE)]
        try:
            yield self
        finally:
            stop.set()
            await asyncio.gather(*tasks)
            await self._endpoints.close()

    async def answered_by(self, implementation: str, seconds: float) -> float:
        """Wait until calls that begin from now on are answered by one implementation, some times in a row; the seconds until the first of them.

        Raises:
            ProveError: They are not, within `seconds`.
        """
        self._since, self._in_a_row = time.monotonic(), ("", 0)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._answered.clear()
                    name, times = self._in_a_row
                    if name == implementation and times >= _IN_A_ROW:
                        return self._turned - self._since
                    await self._answered.wait()
        except TimeoutError:
            answers = self._in_a_row[0] or "nobody"
            why = f"; the last failure: {self.last_failure}" if self.last_failure else ""
            raise ProveError(
                f"after {seconds:g} s calls are answered by {answers}, not by {implementation}{why}",
                remedy="`tricorn status` and `tricorn logs` say what is bound and what is wrong",
            ) from None

    async def _keep_calling(self, rounds: itertools.cycle[Request], stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._call(next(rounds))
            self.calls += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _PAUSE_SECONDS)

    async def _call(self, request: Request) -> None:
        with call_scope(identity=request.caller):
            try:
                await self._wire.invoke(request.policy, request.message)
            except Refusal as refusal:
                self._judge(request, refusal)

    def _judge(self, request: Request, refusal: Refusal) -> None:
        if refusal.reason in Breaker.COUNTED or refusal.reason == PlatformReason.UNIMPLEMENTED:
            self.failed += 1
            self.last_failure = f"{request.policy.name}: {refusal}"

    def _follow(self) -> None:
        moved = self._places.poll()
        if self._bindings.poll() or moved:
            self._endpoints.update(endpoints=self._places.current, bindings=self._bindings.current)

    async def _keep_following(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._follow()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _POLL_SECONDS)
