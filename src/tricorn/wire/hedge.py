"""Two tries at one answer, the second begun only when the first takes long."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from google.protobuf.message import Message

from tricorn.contract import PlatformReason, Refusal

_NO_ANSWERS = frozenset({PlatformReason.UNAVAILABLE.value, PlatformReason.DEADLINE_EXCEEDED.value})


async def first_answer(
    first: Coroutine[Any, Any, Message],
    patience: float,
    second: Callable[[], Coroutine[Any, Any, Message]],
    gone: Callable[[Refusal], bool],
) -> Message | asyncio.Task[Message]:
    """What ``first`` answers; or, done, the task of ``second``, which is begun after ``patience`` seconds.

    Whichever answers first ends the other. A second try that finds nobody leaves the first its time; a first one that is ``gone`` leaves
    the second its own.

    Raises:
        Refusal: Of the first try, unless it is gone while the second is on its way.
    """
    loop = asyncio.get_running_loop()
    other: asyncio.Task[Message] | None = None
    over = False

    def begin() -> None:
        nonlocal other
        other = loop.create_task(second())
        other.add_done_callback(ended)

    def ended(task: asyncio.Task[Message]) -> None:
        # Asking for the exception also says that somebody looked at it.
        if not task.cancelled() and _is_answer(task.exception()) and not over:
            limit.reschedule(loop.time())

    timer = loop.call_later(patience, begin)
    try:
        async with asyncio.timeout(None) as limit:
            return await first
    except TimeoutError:
        if other is None or not limit.expired():
            raise
        return other
    except Refusal as refusal:
        if other is None or not gone(refusal):
            raise
        over = True
        await asyncio.wait({other})
        return other
    finally:
        over = True
        timer.cancel()
        if other is not None and not other.done():
            other.cancel()


def _is_answer(error: BaseException | None) -> bool:
    return error is None or (isinstance(error, Refusal) and error.reason not in _NO_ANSWERS)
