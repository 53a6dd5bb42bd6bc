"""How much CPU one piece of asynchronous work takes, while others run between its steps."""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

_T = TypeVar("_T")


@dataclass(slots=True)
class CpuMeter:
    """CPU seconds that were counted so far."""

    seconds: float = 0.0


meter: ContextVar[CpuMeter | None] = ContextVar("tricorn_cpu_meter", default=None)
"""The meter of the work that runs now; what computes elsewhere for it, as a pool does, adds its own part."""


async def metered(work: Coroutine[Any, Any, _T], to: CpuMeter) -> _T:
    """Awaits ``work`` and counts the CPU that this thread takes for its steps. Tasks that it starts are not counted."""
    token = meter.set(to)
    try:
        result: _T = await _stepped(work, to)
    finally:
        meter.reset(token)
    return result


@coroutine
def _stepped(work: Coroutine[Any, Any, _T], to: CpuMeter) -> Generator[Any, Any, _T]:
    sent: Any = None
    error: BaseException | None = None
    while True:
        began = time.thread_time()
        try:
            awaited = work.send(sent) if error is None else work.throw(error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            to.seconds += time.thread_time() - began
        sent, error = None, None
        try:
            sent = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as thrown:  # noqa: BLE001 - it is handed on to the work
            error = thrown
