"""What a process does to prove: attaches taps to its wire while something is to be counted, shadowed or recorded, and writes what they found."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import orjson

from tricorn import telemetry
from tricorn.contract import MethodPolicy, PlatformReason, Refusal, method_policy, service_policies
from tricorn.prove.copies import TapsServer
from tricorn.prove.counting import Counted, TallyTap
from tricorn.prove.figures import Comparisons, Cost
from tricorn.prove.orders import FILE, Orders, parse_orders
from tricorn.prove.recorder import Recorder
from tricorn.prove.shadow import Shadow, ShadowOrder, can_be_shadowed
from tricorn.prove.tally import FOLDER, VERSION, Tallies
from tricorn.v1 import stats_pb2
from tricorn.wire import Call, Wire
from tricorn.wire.bindings import Bindings
from tricorn.wire.route import Channel
from tricorn.wire.taps import Tap
from tricorn.wire.watched import WatchedFile

_log = telemetry.get_logger("tricorn.prove")

LOOK_SECONDS = 0.2
WRITE_SECONDS = 1.0
_CPU_SECONDS = 5.0
_CPU_PATIENCE = 1.0
_STATS = "tricorn.v1.StatsService/GetProcessStats"
_NO_ORDERS: Orders = {}


class Ways(Protocol):
    """What is bound, and how an implementation is reached."""

    @property
    def bindings(self) -> Bindings: ...

    def to(self, policy: MethodPolicy, implementation: str) -> Channel:
        """The way to an implementation of a method.

        Raises:
            Refusal: UNAVAILABLE, when it is nowhere.
        """
        ...


class Proving:
    """The part of a process that proves. `run` is its work in the background.

    Args:
        home: The folder of the application's state.
        process: This process's name, which no other of the home has.
        wire: Whose calls are looked at.
        ways: What is bound, and the ways to implementations.
        fallbacks: How many calls fell back so far, by method and the implementation that should have answered.
        poll: Has ``ways`` take what the bindings file says now, for copies that come before it was looked at.
    """

    def __init__(
        self,
        home: Path,
        process: str,
        wire: Wire,
        ways: Ways,
        fallbacks: Callable[[], Mapping[tuple[str, str], int]] = dict,
        *,
        poll: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = home / FOLDER / f"{process}.json"
        self._process = process
        self._wire = wire
        self._ways = ways
        self._fallbacks = fallbacks
        self._poll = poll
        self._open = True
        self._fell_back: dict[tuple[str, str], int] = dict(fallbacks())
        self._seen: Bindings | None = None
        self._shadowed: dict[str, str] = {}
        self._counted: dict[str, Counted] = {}
        self._orders: dict[str, ShadowOrder] = {}
        self._written = b""
        self._native = _NativeCpu(ways)
        self.tallies = Tallies()
        self.found = Comparisons()
        self._read()
        self.recorder = Recorder(home, process)
        self.shadow = Shadow(self._order, ways.to, self.found, self.tallies)
        self.server = TapsServer(self.recorder, self.shadow, self._look_for_copies)
        """Takes what native processes copied of their calls; to be hosted where it can be reached."""
        self._counting = TallyTap(self.tallies, self._count)
        self._recordings = WatchedFile(home / FILE, parse_orders, _NO_ORDERS)

    async def run(self, stop: asyncio.Event) -> None:
        """Looks at the bindings and the orders several times a second until told to stop, then leaves everything written."""
        self._open = True
        self.shadow.open()
        write_at = time.monotonic()
        asking = asyncio.create_task(self._keep_asking())
        try:
            while not stop.is_set():
                await self.look()
                now = time.monotonic()
                if now >= write_at:
                    write_at = now + WRITE_SECONDS
                    self.write()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        finally:
            self._open = False
            asking.cancel()
            for tap in (self.recorder, self._counting, self.shadow):
                self._attach(tap, wanted=False)
            await self.shadow.close()
            await self.recorder.close()
            self.write()

    async def _keep_asking(self) -> None:
        """Beside the rest, which must not wait for a candidate that is stopped."""
        while True:
            await self._native.look(self._orders, self.found)
            await asyncio.sleep(_CPU_SECONDS if self._orders else LOOK_SECONDS)

    async def look(self) -> None:
        """Attaches and detaches taps as the bindings and the orders say now."""
        self._recordings.poll()
        await self.recorder.follow(self._recordings.current)
        self._follow()
        self._attach(self.recorder, wanted=self.recorder.active)
        self._attach(self._counting, wanted=bool(self._counted))
        self._attach(self.shadow, wanted=bool(self._orders))
        self._count_fallbacks()

    async def _look_for_copies(self) -> None:
        """Looks before its time.

        Raises:
            Refusal: UNAVAILABLE, when nobody would end what this begins.
        """
        if not self._open:
            raise Refusal(PlatformReason.UNAVAILABLE, "this process ends", sent=False)
        self._poll()
        await self.look()

    def write(self) -> None:
        """Replaces this process's file, if there is anything new to say."""
        said = {
            "version": VERSION,
            "process": self._process,
            "shadowed": self._shadowed,
            "tallies": self.tallies.to_json(),
            "shadow": self.found.to_json(),
        }
        text = orjson.dumps(said)
        if text == self._written or not (self._written or self._counted or self._orders):
            return
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            scratch = self._path.with_suffix(f".{os.getpid()}")
            descriptor = os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
            scratch.replace(self._path)
        except OSError as error:
            _log.error("what was counted could not be written", file=str(self._path), error=str(error))
            return
        self._written = text

    def _count(self, policy: MethodPolicy) -> Counted | None:
        self._follow()
        return self._counted.get(policy.full_name)

    def _order(self, policy: MethodPolicy) -> ShadowOrder | None:
        self._follow()
        return self._orders.get(policy.full_name)

    def _follow(self) -> None:
        """Takes new bindings at once, so that a call is counted under those that chose who answers it."""
        bindings = self._ways.bindings
        if bindings is not self._seen:
            self._seen = bindings
            self._take(bindings)

    def _take(self, bindings: Bindings) -> None:
        counted: dict[str, Counted] = {}
        orders: dict[str, ShadowOrder] = {}
        for target in bindings.by_target:
            for policy in _policies(target):
                binding = bindings.of(policy)
                if binding.native is not None or binding.shadow is not None:
                    counted[policy.full_name] = Counted(binding.generation)
                shadow = binding.shadow
                if shadow is not None and shadow.wants(policy.name) and can_be_shadowed(policy):
                    orders[policy.full_name] = ShadowOrder(shadow.implementation, shadow.sample, binding.generation)
        shadowed = {name: order.implementation for name, order in orders.items()}
        for name, implementation in shadowed.items():
            if self._shadowed.get(name) != implementation:
                self.found.forget(name)
                self._native.forget(method_policy(name), implementation, self.found)
        self._counted, self._orders, self._shadowed = counted, orders, shadowed
        self.tallies.prune()

    def _attach(self, tap: Tap, *, wanted: bool) -> None:
        taps = self._wire.taps
        # A look for copies may still go on when `run` has ended.
        wanted = wanted and self._open
        if wanted and tap not in taps:
            taps.append(tap)
        elif not wanted and tap in taps:
            taps.remove(tap)

    def _count_fallbacks(self) -> None:
        for (method, implementation), count in self._fallbacks().items():
            new = count - self._fell_back.get((method, implementation), 0)
            self._fell_back[method, implementation] = count
            counted = self._counted.get(method)
            if new > 0 and counted is not None:
                self._counting.fell_back(method, implementation, counted.generation, new)

    def _read(self) -> None:
        """Goes on from what a process of this name wrote before it ended."""
        try:
            said = orjson.loads(self._path.read_bytes())
            if said["version"] != VERSION:
                return
            self.tallies.merge(Tallies.from_json(said["tallies"]))
            self.found.merge(Comparisons.from_json(said["shadow"]))
            self._shadowed = dict(said["shadowed"])
        except (OSError, ValueError, KeyError, TypeError):
            return


def _policies(target: str) -> tuple[MethodPolicy, ...]:
    """The methods of a target that this process knows of; contracts that were never imported here are never called from here."""
    service, _, method = target.partition("/")
    with contextlib.suppress(KeyError):
        return tuple(policy for policy in service_policies(service) if method in {"", policy.name})
    return ()


class _NativeCpu:
    """What the processes of shadowed implementations take: asked of them with their calls, and summed up over their restarts."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._last: dict[str, tuple[int, float, int]] = {}

    async def look(self, orders: Mapping[str, ShadowOrder], found: Comparisons) -> None:
        stats = method_policy(_STATS)
        asked: dict[str, tuple[MethodPolicy, str]] = {}
        for name, order in orders.items():
            policy = method_policy(name)
            asked.setdefault(_key(policy, order.implementation), (policy, order.implementation))
        for key, (policy, implementation) in asked.items():
            call = Call(_STATS, None, time.monotonic() + _CPU_PATIENCE, shadow=True)
            try:
                answer = await self._ways.to(policy, implementation).unary(
                    stats, stats_pb2.GetProcessStatsRequest(), call
                )
            except Refusal:
                continue
            self._take(key, answer, found)  # type: ignore[arg-type]

    def forget(self, policy: MethodPolicy, implementation: str, found: Comparisons) -> None:
        key = _key(policy, implementation)
        self._last.pop(key, None)
        found.candidate_cpu.pop(key, None)

    def _take(self, key: str, answer: stats_pb2.ProcessStats, found: Comparisons) -> None:
        now = (answer.pid, answer.cpu_seconds, sum(service.calls for service in answer.services))
        pid, seconds, calls = self._last.get(key, now)
        self._last[key] = now
        if pid == now[0]:
            found.candidate_cpu.setdefault(key, Cost()).merge(Cost(now[1] - seconds, now[2] - calls))


def _key(policy: MethodPolicy, implementation: str) -> str:
    return f"{policy.service} {implementation}"
