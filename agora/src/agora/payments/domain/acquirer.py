"""The port to whoever moves the money: a bank's gateway in life, a sandbox here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agora.payments.domain.payment import Money


class Verdict(StrEnum):
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The acquirer's answer; `reference` is its own id of it, for everything that follows."""

    reference: str
    verdict: Verdict


class AnswerLostError(Exception):
    """The acquirer may or may not have done it. Asking again by the key tells."""


class UnknownMethodError(Exception):
    """The acquirer does not know this means of payment."""


class KeyMismatchError(Exception):
    """The acquirer knows the key from another request."""


class NotPossibleError(Exception):
    """The acquirer's books do not allow it: what the authorisation's state is there, and what is left to refund."""

    def __init__(self, state: str, left: int = 0) -> None:
        super().__init__(state, left)
        self.state = state
        self.left = left


class Acquirer(Protocol):
    """Everything happens once for each key and kind, and is remembered: asking again gives the same answer.

    Every method may raise `AnswerLostError`, and `KeyMismatchError`, which says that nothing was changed.
    """

    async def authorise(self, key: str, amount: Money, method: str) -> Authorisation:
        """Holds an amount, or says why not.

        Raises:
            UnknownMethodError: Nothing was remembered.
        """
        ...

    async def capture(self, key: str, reference: str) -> None:
        """Takes what is held. Raises NotPossibleError unless it is held still."""
        ...

    async def void(self, key: str, reference: str) -> None:
        """Lets go of what is held. Raises NotPossibleError unless it is held still."""
        ...

    async def refund(self, key: str, reference: str, minor_units: int) -> int:
        """Gives back what was taken; returns how much it was the first time the key came.

        Raises:
            NotPossibleError: Nothing was taken, or less than that is left.
        """
        ...
