"""What an order is and how it may change."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from tricorn.contract import PlatformReason, Refusal, reason_entry

SAGA_SECONDS = 10.0
"""How long one run of the saga may take, all its calls together."""

LEASE_SECONDS = 15
"""How long nobody else takes an order over; longer than a run, so that only a run that died is taken over."""

HOLD_SECONDS = 600
"""How long stock is held for an order; outlives the lease and some takeovers."""

_FIRST_ERROR = 400
_FIRST_SERVER_ERROR = 500
_PASSING = frozenset({PlatformReason.ABORTED.value, PlatformReason.RATE_LIMITED.value, PlatformReason.CANCELLED.value})


class State(IntEnum):
    """What the buyer sees. The numbers are the contract's."""

    PENDING = 1
    CONFIRMED = 2
    COMPLETED = 3
    REFUSED = 4
    CANCELLING = 5
    CANCELLED = 6


SETTLED = frozenset({State.COMPLETED, State.REFUSED, State.CANCELLED})
"""States that do not change by themselves."""


@dataclass(frozen=True, slots=True)
class StoredRefusal:
    """A refusal as the idempotency key remembers it."""

    reason: str
    detail: str
    metadata: dict[str, str]

    @staticmethod
    def of(refusal: Refusal) -> "StoredRefusal":
        return StoredRefusal(refusal.reason, refusal.detail, refusal.metadata)

    def again(self) -> Refusal:
        return Refusal(self.reason, self.detail, metadata=self.metadata)


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it is stored. ``quote`` is the serialised storefront quote it was bought at; amounts are minor units.

    ``fence`` counts who worked on it: a write that carries an older one changes nothing. ``open`` says that steps are left to do.
    """

    order_id: str
    user_id: str
    state: State
    open: bool
    fence: int
    fingerprint: bytes
    quote: bytes
    total: int
    coupons: tuple[str, ...]
    payment_method: str
    payment_id: str | None
    reservation_id: str | None
    refusal: StoredRefusal | None
    version: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What is known of an order when it is first written."""

    order_id: str
    user_id: str
    key: str
    fingerprint: bytes
    quote: bytes
    total: int
    coupons: tuple[str, ...]
    payment_method: str
    refusal: StoredRefusal | None = field(default=None)


def is_terminal(refusal: Refusal) -> bool:
    """Whether a refusal is the answer of the business, to be remembered, and not a passing trouble, to be tried again."""
    status = reason_entry(refusal.reason).http
    return _FIRST_ERROR <= status < _FIRST_SERVER_ERROR and refusal.reason not in _PASSING


def check_same_request(order: Order, fingerprint: bytes) -> None:
    """Raises IDEMPOTENCY_KEY_REUSED when a key comes back with another request."""
    if order.fingerprint != fingerprint:
        raise Refusal(
            PlatformReason.IDEMPOTENCY_KEY_REUSED,
            "this Idempotency-Key was used for another order; use a new key for a new order",
        )
