"""A payment and what may become of it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from agora_proto.reasons import Reason
from tricorn.contract import PlatformReason, Refusal


class State(StrEnum):
    AUTHORISED = "AUTHORISED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"
    DECLINED = "DECLINED"


class Kind(StrEnum):
    """What is done to a payment; keys of one kind say nothing about another."""

    AUTHORISE = "AUTHORISE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class Money:
    currency: str
    minor_units: int


@dataclass(frozen=True, slots=True)
class Payment:
    """Amounts are minor units of `currency`; `acquirer_reference` is the acquirer's own id of the authorisation."""

    payment_id: str
    user_id: str
    state: State
    currency: str
    amount: int
    captured: int
    refunded: int
    method: str
    reference: str
    acquirer_reference: str
    create_time: datetime
    update_time: datetime


class KeyTakenError(Exception):
    """The key has an answer already, of this request or of another."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a key was answered once and is answered for ever: the payment as it was then, or a refusal."""

    fingerprint: bytes
    payment: Payment
    refusal: Refusal | None = None

    def repeated(self, fingerprint: bytes) -> Payment:
        """The answer once more.

        Raises:
            Refusal: The one that was given; IDEMPOTENCY_KEY_REUSED when the request was another.
        """
        if fingerprint != self.fingerprint:
            raise key_reused()
        if self.refusal is not None:
            raise self.refusal
        return self.payment


def fingerprint(*parts: str | int | None) -> bytes:
    """32 bytes that differ when any part of a request does."""
    return hashlib.sha256(repr(parts).encode()).digest()


def capturable(payment: Payment) -> int:
    """The minor units that a capture takes: all of them. Raises Refusal INVALID_STATE unless it is authorised."""
    _require(payment, State.AUTHORISED, "captured")
    return payment.amount


def captured(payment: Payment, minor_units: int) -> Payment:
    return replace(payment, state=State.CAPTURED, captured=minor_units)


def voidable(payment: Payment) -> int:
    """The minor units that a void lets go of. Raises Refusal INVALID_STATE unless it is authorised."""
    _require(payment, State.AUTHORISED, "voided")
    return payment.amount


def voided(payment: Payment, minor_units: int) -> Payment:
    return replace(payment, state=State.VOIDED)


def refundable(payment: Payment, amount: Money | None) -> int:
    """The minor units that a refund of `amount` gives back; None asks for all that is left.

    Raises:
        Refusal: INVALID_STATE unless something captured is left, CURRENCY_MISMATCH, AMOUNT_EXCEEDED.
    """
    _require(payment, State.CAPTURED, "refunded")
    left = payment.captured - payment.refunded
    if amount is None:
        return left
    if amount.currency != payment.currency:
        raise Refusal(
            Reason.CURRENCY_MISMATCH,
            f"The payment is in {payment.currency}, the refund in {amount.currency}.",
            metadata={"currency": payment.currency},
        )
    if amount.minor_units > left:
        raise amount_exceeded(left)
    return amount.minor_units


def refunded(payment: Payment, minor_units: int) -> Payment:
    """The payment with that much given back; REFUNDED once everything is."""
    total = payment.refunded + minor_units
    return replace(payment, refunded=total, state=State.REFUNDED if total == payment.captured else State.CAPTURED)


def amount_exceeded(left: int) -> Refusal:
    return Refusal(Reason.AMOUNT_EXCEEDED, f"Only {left} minor units are left to refund.", metadata={"left": str(left)})


def key_reused() -> Refusal:
    return Refusal(PlatformReason.IDEMPOTENCY_KEY_REUSED, "The key was used before with another request.")


def invalid_state(state: str, wish: str) -> Refusal:
    return Refusal(
        Reason.INVALID_STATE,
        f"The payment is {state.lower()}: it cannot be {wish}.",
        metadata={"state": state},
    )


def _require(payment: Payment, state: State, wish: str) -> None:
    if payment.state is not state:
        raise invalid_state(payment.state, wish)
