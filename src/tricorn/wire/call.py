"""What travels with a call: who calls, until when, and why."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from google.protobuf.message import Message

from tricorn.contract.refusal import PlatformReason, Refusal

NO_METADATA: Mapping[str, str] = MappingProxyType({})

REFUSED_EFFECT = "shadow-refused"
"""In the metadata of the refusal that a shadowed call gets where it would have an effect: the method that it may not call."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whoever a call is made for, as a gateway verified it."""

    user_id: str
    session_id: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Call:
    """What a server's method gets besides its request.

    ``deadline`` is on the monotonic clock, in seconds; ``causation`` is the id of the event or the key of the call that led to this one.
    A call with ``shadow`` is made to compare answers: nothing that it leads to may have an effect.
    """

    method: str
    identity: Identity | None
    deadline: float
    causation: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)
    shadow: bool = False

    def remaining(self) -> float:
        """Seconds until the deadline; negative when it has passed."""
        return self.deadline - time.monotonic()

    def user(self) -> Identity:
        """The caller.

        Raises:
            Refusal: UNAUTHENTICATED, when nobody in particular calls.
        """
        if self.identity is None:
            raise Refusal(PlatformReason.UNAUTHENTICATED, "log in first: this needs a user")
        return self.identity


class Caller(Protocol):
    """What a generated client speaks through."""

    async def call(
        self, path: str, request: Message | AsyncIterator[Message], deadline: float | None = None
    ) -> Message:
        """Calls ``package.Service/Method``; ``deadline`` in seconds from now shortens the contract's own."""
        ...

    def stream(self, path: str, request: Message | AsyncIterator[Message]) -> AsyncIterator[Message]: ...


current: ContextVar[Call | None] = ContextVar("tricorn_call", default=None)


def current_call() -> Call | None:
    """The call that is being served; clients take identity and deadline from it."""
    return current.get()


@contextmanager
def call_scope(
    *,
    identity: Identity | None = None,
    timeout: float = 30.0,
    causation: str = "",
    metadata: Mapping[str, str] = NO_METADATA,
    shadow: bool = False,
) -> Iterator[Call]:
    """For work that no call started (a saga, a job) and for what comes in from outside: calls made inside inherit this."""
    call = Call("", identity, time.monotonic() + timeout, causation, metadata, shadow)
    token = current.set(call)
    try:
        yield call
    finally:
        current.reset(token)


def refuse_effects(method: str) -> Refusal:
    """The answer to a shadowed call of a method that may have effects."""
    detail = f"{method} may have effects, which nothing that a shadowed call leads to may have"
    return Refusal(PlatformReason.PERMISSION_DENIED, detail, metadata={REFUSED_EFFECT: method}, sent=False)
