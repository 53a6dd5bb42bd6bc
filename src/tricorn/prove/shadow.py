"""Compares implementations on live calls: whoever answers the caller, the other gets a copy afterwards, and what both said is compared.

Nothing of it is on the caller's path but two serialisations for a call of the sample: the request before the call, the outcome after it. The
copy is asked with a deadline of its own and marked, so that nothing it leads to may have an effect; only methods without side effects are
compared. While the reference answers, the candidate gets the copies; a call that the candidate answered is compared the other way round.

Two outcomes that differ say nothing when the state they read has moved between them. So whoever answered first is asked once more: if it now
says something else, the pair is not comparable. Methods whose calls depend on nothing but the request (split key ``CALL``) have no state: for
them only a reference that contradicts itself is an excuse.

Calls that native processes made come as copies (`tricorn.prove.copies`), and are compared in the same way.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context

from google.protobuf.message import Message

from tricorn import telemetry
from tricorn.contract import MethodPolicy, Refusal
from tricorn.prove.comparing import FAILED, REST_SECONDS, Comparer, Pair, Said, ShadowOrder, frozen
from tricorn.prove.figures import Comparisons, Figures, Pairing
from tricorn.prove.tally import Tallies
from tricorn.wire import Call
from tricorn.wire.bindings import ALL, REFERENCE
from tricorn.wire.route import Channel

__all__ = ["Shadow", "ShadowOrder", "can_be_shadowed"]

_log = telemetry.get_logger("tricorn.prove")

QUEUE = 500
"""Pairs of one method that may wait; more are dropped, and counted."""

QUEUE_BYTES = 16 * 1024 * 1024
CONCURRENCY = 4
"""Copies of one method that are asked at once."""


def can_be_shadowed(policy: MethodPolicy) -> bool:
    """Whether a method may be asked twice, and answers once."""
    return policy.safe and not policy.client_streaming and not policy.server_streaming


class Shadow:
    """A tap of the wire, with the comparisons that go on beside it. Lives on one event loop.

    Args:
        orders: Which methods are shadowed; asked with each call, so it must be quick.
        reach: The way to an implementation of a method.
        found: Where the figures go.
        tallies: Where it is counted how often a candidate was compared, and differed.
        dice: A number from 0 to 1 for each call, which decides whether it is of the sample.
        queue: Pairs of one method that may wait.
        concurrency: Copies of one method that are asked at once.
        rest: Seconds before another copy is sent to an implementation that was not there.
    """

    def __init__(
        self,
        orders: Callable[[MethodPolicy], ShadowOrder | None],
        reach: Callable[[MethodPolicy, str], Channel],
        found: Comparisons,
        tallies: Tallies,
        *,
        dice: Callable[[], float] = random.random,
        queue: int = QUEUE,
        concurrency: int = CONCURRENCY,
        rest: float = REST_SECONDS,
    ) -> None:
        self.found = found
        self._orders = orders
        self._dice = dice
        self._queue = queue
        self._concurrency = concurrency
        self._comparer = Comparer(reach, found, tallies, rest=rest)
        self._lanes: dict[str, _Lane] = {}
        self._closed = False

    def begin(
        self, policy: MethodPolicy, request: Message, call: Call
    ) -> Callable[[Message | Refusal, float, str], None] | None:
        order = self._orders(policy)
        if order is None or call.shadow or not can_be_shadowed(policy) or self._dice() * ALL >= order.sample:
            return None
        began = time.perf_counter()
        copy = request.SerializeToString()
        taken = time.perf_counter() - began

        def finish(outcome: Message | Refusal, seconds: float, implementation: str) -> None:
            began = time.perf_counter()
            if implementation in {REFERENCE, order.implementation}:
                content = outcome if isinstance(outcome, Refusal) else frozen(outcome)
                self._put(policy, Pair(order, call, copy, Said(content, seconds), implementation))
            self._figures(policy, order.implementation).path.add(taken + time.perf_counter() - began)

        return finish

    def take(self, policy: MethodPolicy, pair: Pair, copying: float) -> None:
        """Compares a call of the sample that another process made; ``copying`` took so many seconds of its caller's time."""
        if self.compares(policy, pair.order.implementation):
            if pair.answered_by in {REFERENCE, pair.order.implementation}:
                self._put(policy, pair)
            self._figures(policy, pair.order.implementation).path.add(copying)

    def miss(self, policy: MethodPolicy, implementation: str, dropped: int) -> None:
        """Counts calls that another process could not copy."""
        if self.compares(policy, implementation):
            self._figures(policy, implementation).dropped += dropped

    async def idle(self) -> None:
        """Returns when everything that waited has been compared."""
        while tasks := [task for lane in self._lanes.values() for task in lane.tasks]:
            await asyncio.wait(tasks)

    def open(self) -> None:
        """Takes what comes, again after a `close`."""
        self._closed = False

    async def close(self) -> None:
        """Ends what goes on; what waits is forgotten, and so is what comes."""
        self._closed = True
        tasks = [task for lane in self._lanes.values() for task in lane.tasks]
        for lane in self._lanes.values():
            lane.waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def compares(self, policy: MethodPolicy, implementation: str) -> bool:
        """Whether calls of a method are compared with an implementation now."""
        order = self._orders(policy)
        return order is not None and order.implementation == implementation and can_be_shadowed(policy)

    def _figures(self, policy: MethodPolicy, implementation: str) -> Figures:
        return self.found.of(Pairing(policy.full_name, implementation))

    def _put(self, policy: MethodPolicy, pair: Pair) -> None:
        if not self._closed and not self._lane(policy).put(pair):
            self._figures(policy, pair.order.implementation).dropped += 1

    def _lane(self, policy: MethodPolicy) -> "_Lane":
        lane = self._lanes.get(policy.full_name)
        if lane is None:
            lane = self._lanes[policy.full_name] = _Lane(
                self._comparer, self.found, policy, self._queue, self._concurrency
            )
        return lane


class _Lane:
    """The pairs of one method that wait, and the tasks that compare them: none when nothing waits."""

    def __init__(
        self, comparer: Comparer, found: Comparisons, policy: MethodPolicy, most: int, concurrency: int
    ) -> None:
        self.waiting: deque[Pair] = deque()
        self.tasks: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._comparer = comparer
        self._found = found
        self._policy = policy
        self._most = most
        self._concurrency = concurrency

    def put(self, pair: Pair) -> bool:
        if len(self.waiting) >= self._most or self._bytes + pair.size > QUEUE_BYTES:
            return False
        self.waiting.append(pair)
        self._bytes += pair.size
        if len(self.tasks) < self._concurrency:
            # In a context of its own: the caller's trace and deadline have nothing to do with it.
            task = asyncio.get_running_loop().create_task(self._drain(), context=Context())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return True

    async def _drain(self) -> None:
        while self.waiting:
            pair = self.waiting.popleft()
            self._bytes -= pair.size
            try:
                await self._comparer.compare(self._policy, pair)
            except Exception as error:  # noqa: BLE001 - the next pair is none the worse for it
                found = self._found.of(Pairing(self._policy.full_name, pair.order.implementation))
                found.not_comparable(FAILED)
                _log.error("two answers could not be compared", method=self._policy.full_name, exc_info=error)
            # What is answered in this process may never wait for anything: between two pairs, calls have their turn.
            await asyncio.sleep(0)
