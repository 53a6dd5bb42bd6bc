"""Ways to implementations, and who chooses among them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message

from tricorn.contract import MethodPolicy
from tricorn.wire.bindings import REFERENCE
from tricorn.wire.call import Call


class Channel(Protocol):
    """One way to reach an implementation."""

    target: str

    async def unary(self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call) -> Message: ...

    def stream(
        self, policy: MethodPolicy, request: Message | AsyncIterator[Message], call: Call
    ) -> AsyncIterator[Message]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """What a binding says of one call.

    Args:
        channel: The way to go.
        implementation: What is at its end.
        reference: The way to the reference, where it is another one and known.
        shared: Whether both keep the contract's rows, idempotency keys included, in the same tables.
    """

    channel: Channel
    implementation: str = REFERENCE
    reference: "Route | None" = None
    shared: bool = False


class Directory(Protocol):
    """Where implementations are, and which of them answers a call."""

    def route(self, policy: MethodPolicy, request: Message | AsyncIterator[Message]) -> Route:
        """The way for one call.

        Raises:
            Refusal: UNAVAILABLE, when nothing implements the method.
        """
        ...
