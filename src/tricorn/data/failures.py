"""What a failure of PostgreSQL means to a caller: the refusal that stands for it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from tricorn.contract import PlatformReason, Refusal
from tricorn.telemetry import get_logger

_T = TypeVar("_T")
_log = get_logger("tricorn.data")

_RETRY_SECONDS = 0.2
# asyncpg on a connection to which the server has said farewell, and whose end has not been read yet: nothing was sent.
_DYING = re.compile(r"another operation \([12]\) is in progress")
_BY_STATE = {
    "40001": PlatformReason.ABORTED,  # serialization failure
    "40P01": PlatformReason.ABORTED,  # deadlock
    "55P03": PlatformReason.UNAVAILABLE,  # lock not available: lock_timeout
    "57014": PlatformReason.DEADLINE_EXCEEDED,  # query cancelled: statement_timeout
    "25P03": PlatformReason.DEADLINE_EXCEEDED,  # idle in transaction for too long
    "25P04": PlatformReason.DEADLINE_EXCEEDED,  # transaction timeout
    "57P01": PlatformReason.UNAVAILABLE,  # administrator's shutdown
    "57P02": PlatformReason.UNAVAILABLE,  # crash of another session
    "57P03": PlatformReason.UNAVAILABLE,  # starting up or shutting down
    "57P05": PlatformReason.UNAVAILABLE,  # idle session timeout
    "53100": PlatformReason.UNAVAILABLE,  # disk full
    "53200": PlatformReason.UNAVAILABLE,  # out of memory
    "53300": PlatformReason.UNAVAILABLE,  # too many connections
    "22021": PlatformReason.INVALID_ARGUMENT,  # character not in repertoire: U+0000 in a text
    "22P05": PlatformReason.INVALID_ARGUMENT,  # untranslatable character: the same in JSON
}
_DETAILS = {
    PlatformReason.ABORTED: "somebody else changed the same data at the same moment; try again",
    PlatformReason.UNAVAILABLE: "the data cannot be reached at the moment; try again",
    PlatformReason.DEADLINE_EXCEEDED: "the data could not be read or written in time",
    PlatformReason.INVALID_ARGUMENT: "a text holds a character that cannot be stored: U+0000",
}
_TRY_AGAIN = frozenset((PlatformReason.ABORTED, PlatformReason.UNAVAILABLE))


def refusal_for(error: BaseException) -> Refusal | None:
    """The refusal that stands for an infrastructure failure, or for a text that PostgreSQL cannot hold; none for everything else.

    Violated constraints, wrong SQL and missing permissions are the repository's to handle, and stay as they are.
    """
    state = getattr(error, "sqlstate", None)  # psycopg's errors have it as asyncpg's do
    if isinstance(state, str):
        reason = _BY_STATE.get(state) or (PlatformReason.UNAVAILABLE if state.startswith("08") else None)
    elif isinstance(error, asyncpg.InterfaceError):
        reason = PlatformReason.UNAVAILABLE if "closed" in str(error) else None
    elif isinstance(error, asyncpg.InternalClientError):
        reason = PlatformReason.UNAVAILABLE if _DYING.search(str(error)) else None
    elif not isinstance(error, (OSError, TimeoutError)):
        reason = None
    else:
        reason = PlatformReason.UNAVAILABLE
    if reason is None:
        return None
    _log.warning("the database failed a call", reason=str(reason), error=f"{type(error).__name__}: {error}")
    retry_after = _RETRY_SECONDS if reason in _TRY_AGAIN else None
    return Refusal(reason, _DETAILS[reason], retry_after=retry_after)


async def retry_aborted(attempt: Callable[[], Awaitable[_T]], *, retries: int = 2, pause: float = 0.01) -> _T:
    """Run `attempt` again when it lost against a concurrent transaction, at most `retries` more times.

    `attempt` must open its transaction itself, so that each run is a new one. `pause` (seconds) grows with each run.
    """
    for number in range(retries):
        try:
            return await attempt()
        except Refusal as refusal:
            if refusal.reason != PlatformReason.ABORTED:
                raise
        await asyncio.sleep(pause * (number + 1))
    return await attempt()
