"""A pool of processes for work that would stall the event loop."""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from typing import ParamSpec, TypeVar

from tricorn.telemetry.cpu import meter

_P = ParamSpec("_P")
_T = TypeVar("_T")


class CpuPool:
    """Runs pure functions with picklable arguments elsewhere. Its processes start with the first call and end with this one, however it ends."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """The function's result; with no workers it is computed here."""
        if self._workers == 0:
            return function(*args, **kwargs)
        pool = self._started()
        work = partial(_timed, function, *args, **kwargs)
        try:
            result, seconds = await asyncio.wrap_future(pool.submit(work))
        except BrokenProcessPool:
            # A worker was killed, which ends its pool. What it computes is pure: a new one begins again.
            if self._pool is pool:
                self.close()
            result, seconds = await asyncio.wrap_future(self._started().submit(work))
        if (counted := meter.get()) is not None:
            counted.seconds += seconds
        return result

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not forked: this process has threads, and gRPC does not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=follow_the_parent)
        return self._pool

    def close(self) -> None:
        """Ends the processes without waiting for what they compute."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def _timed(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> tuple[_T, float]:
    began = time.thread_time()
    result = function(*args, **kwargs)
    return result, time.thread_time() - began


def follow_the_parent() -> None:
    """For a process that computes for another: it ends when that one does, and leaves Ctrl-C to it."""
    # Ctrl-C goes to the whole group; when to end is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def end_with_it() -> None:
        if parent is not None:
            wait([parent.sentinel])
        os._exit(0)

    threading.Thread(target=end_with_it, daemon=True).start()
