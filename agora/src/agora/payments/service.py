"""Everything payments can do with money. The ledger's signing and auditing is in `ledger.py`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, TypeVar

from agora.payments.domain import payment as rules
from agora.payments.domain.acquirer import (
    Acquirer,
    AnswerLostError,
    Authorisation,
    KeyMismatchError,
    NotPossibleError,
    UnknownMethodError,
    Verdict,
)
from agora.payments.domain.ledger import Entry, entries
from agora.payments.domain.payment import Answer, KeyTakenError, Kind, Money, Payment, State
from agora_proto.reasons import Reason
from tricorn.contract import PlatformReason, Refusal, Violation
from tricorn.data import uuid7
from tricorn.failpoints import failpoint

_T = TypeVar("_T")
_ATTEMPTS = 3
_UNSET = datetime.min.replace(tzinfo=UTC)


class Repository(Protocol):
    """Each change is a transaction of its own: payment, answer and booking, or nothing."""

    async def payment(self, payment_id: str) -> Payment | None: ...
    async def with_answer(self, payment_id: str, kind: Kind, key: str) -> tuple[Payment, Answer | None] | None: ...
    async def answer(self, kind: Kind, key: str) -> Answer | None: ...
    async def create(self, payment: Payment, key: str, answer: Answer, entries: Sequence[Entry]) -> Payment | None: ...
    async def change(
        self, before: Payment, after: Payment, *, kind: Kind, key: str, fingerprint: bytes, entries: Sequence[Entry]
    ) -> Payment | None: ...
    async def refuse(self, payment: Payment, kind: Kind, key: str, fingerprint: bytes, refusal: Refusal) -> None: ...


class PaymentsService:
    """Every effect happens once per key, here and at the acquirer.

    The acquirer is asked first and outside of any transaction; what it did is booked afterwards. A crash in between
    loses nothing: the acquirer remembers the key, so that the same call made again finds it done and books it.
    Refusals are remembered like successes; an answer that never came is not.

    Args:
        appended: Called when the ledger has grown.
    """

    def __init__(self, repository: Repository, acquirer: Acquirer, appended: Callable[[], None]) -> None:
        self._repository = repository
        self._acquirer = acquirer
        self._appended = appended

    async def authorise(self, key: str, amount: Money, method: str, reference: str, user_id: str) -> Payment:
        """Holds an amount on the buyer's means of payment.

        Raises:
            Refusal: PAYMENT_DECLINED, INSUFFICIENT_FUNDS, INVALID_ARGUMENT for an unknown method,
                IDEMPOTENCY_KEY_REUSED; UNAVAILABLE when the acquirer does not answer.
        """
        print_ = rules.fingerprint(amount.currency, amount.minor_units, method, reference, user_id)
        try:
            authorisation = await _insist(lambda: self._acquirer.authorise(key, amount, method))
        except UnknownMethodError:
            raise _unknown_method(method) from None
        except KeyMismatchError:
            raise rules.key_reused() from None
        await failpoint("payments.authorise.acquired")
        payment = _payment(authorisation, amount, method, reference, user_id)
        refusal = _decline(authorisation.verdict)
        booking = () if refusal else entries(Kind.AUTHORISE, amount.minor_units)
        created = await self._repository.create(payment, key, Answer(print_, payment, refusal), booking)
        if created is None:
            return (await self._answered(Kind.AUTHORISE, key)).repeated(print_)
        if refusal:
            raise refusal
        self._appended()
        await failpoint("payments.authorise.booked")
        return created

    async def capture(self, key: str, payment_id: str) -> Payment:
        """Takes the whole amount that is held. Raises Refusal INVALID_STATE, NOT_FOUND, IDEMPOTENCY_KEY_REUSED."""

        async def ask(payment: Payment, minor_units: int) -> int:
            await self._acquirer.capture(key, payment.acquirer_reference)
            return minor_units

        wish = _Wish(
            Kind.CAPTURE, key, payment_id, rules.fingerprint(payment_id), rules.capturable, ask, rules.captured
        )
        return await self._grant(wish)

    async def void(self, key: str, payment_id: str) -> Payment:
        """Lets go of what is held. Raises Refusal INVALID_STATE, NOT_FOUND, IDEMPOTENCY_KEY_REUSED."""

        async def ask(payment: Payment, minor_units: int) -> int:
            await self._acquirer.void(key, payment.acquirer_reference)
            return minor_units

        wish = _Wish(Kind.VOID, key, payment_id, rules.fingerprint(payment_id), rules.voidable, ask, rules.voided)
        return await self._grant(wish)

    async def refund(self, key: str, payment_id: str, amount: Money | None) -> Payment:
        """Gives back a part of what was captured; None: all that is left.

        Raises:
            Refusal: INVALID_STATE, CURRENCY_MISMATCH, AMOUNT_EXCEEDED, NOT_FOUND, IDEMPOTENCY_KEY_REUSED.
        """

        async def ask(payment: Payment, minor_units: int) -> int:
            done = await self._acquirer.refund(key, payment.acquirer_reference, minor_units)
            if amount is not None and done != minor_units:
                raise rules.key_reused()  # another request's, which books it when it comes again
            return done

        def decide(payment: Payment) -> int:
            return rules.refundable(payment, amount)

        parts = (amount.currency, amount.minor_units) if amount else (None, None)
        print_ = rules.fingerprint(payment_id, *parts)
        return await self._grant(_Wish(Kind.REFUND, key, payment_id, print_, decide, ask, rules.refunded))

    async def payment(self, payment_id: str) -> Payment:
        """Raises Refusal NOT_FOUND."""
        return _found(await self._repository.payment(payment_id))

    async def payment_by_key(self, authorisation_key: str) -> Payment:
        """The payment as it is now that the key authorised, declined ones included. Raises Refusal NOT_FOUND."""
        answer = await self._repository.answer(Kind.AUTHORISE, authorisation_key)
        return await self.payment(_found(answer).payment.payment_id)

    async def _grant(self, wish: "_Wish") -> Payment:
        """Decides on the payment as it is, asks the acquirer, and books only if it is still so; else decides anew."""
        for _ in range(_ATTEMPTS):
            payment, answer = _found(await self._repository.with_answer(wish.payment_id, wish.kind, wish.key))
            if answer is not None:
                return answer.repeated(wish.fingerprint)
            try:
                minor_units = wish.decide(payment)
            except Refusal as refusal:
                return await self._refused(wish, payment, refusal)
            try:
                done = await _insist(partial(wish.ask, payment, minor_units))
            except KeyMismatchError:
                raise rules.key_reused() from None
            except NotPossibleError as error:
                return await self._refused(wish, payment, _not_possible(wish.kind, error))
            await failpoint(f"payments.{wish.kind.lower()}.acquired")
            if booked := await self._book(wish, payment, done):
                return booked
        raise _being_changed()

    async def _book(self, wish: "_Wish", before: Payment, minor_units: int) -> Payment | None:
        """None: the payment is no longer as before."""
        try:
            return await self._change(wish, before, minor_units)
        except KeyTakenError:
            answer = await self._answered(wish.kind, wish.key)
        if answer.fingerprint == wish.fingerprint:
            return answer.repeated(wish.fingerprint)
        # The key was refused for another request meanwhile, but the money of this one has moved: it is booked, once, by a key of its own.
        own = replace(wish, key=f"{wish.key}\n{wish.fingerprint.hex()}")
        for _ in range(_ATTEMPTS):
            if booked := await self._book(own, before, minor_units):
                return booked
            before, earlier = _found(await self._repository.with_answer(own.payment_id, own.kind, own.key))
            if earlier is not None:
                return earlier.repeated(own.fingerprint)
        raise _being_changed()

    async def _change(self, wish: "_Wish", before: Payment, minor_units: int) -> Payment | None:
        after = wish.after(before, minor_units)
        booking = entries(wish.kind, minor_units)
        changed = await self._repository.change(
            before, after, kind=wish.kind, key=wish.key, fingerprint=wish.fingerprint, entries=booking
        )
        if changed is not None:
            self._appended()
            await failpoint(f"payments.{wish.kind.lower()}.booked")
        return changed

    async def _refused(self, wish: "_Wish", payment: Payment, refusal: Refusal) -> Payment:
        await self._repository.refuse(payment, wish.kind, wish.key, wish.fingerprint, refusal)
        return (await self._answered(wish.kind, wish.key)).repeated(wish.fingerprint)

    async def _answered(self, kind: Kind, key: str) -> Answer:
        answer = await self._repository.answer(kind, key)
        if answer is None:
            raise Refusal(PlatformReason.ABORTED, "The key was in use in the same moment; ask again.")
        return answer


@dataclass(frozen=True, slots=True)
class _Wish:
    """What someone wants done to a payment.

    `decide` says for how many minor units, or refuses; `ask` has the acquirer do it and returns how many it were;
    `after` is the payment then.
    """

    kind: Kind
    key: str
    payment_id: str
    fingerprint: bytes
    decide: Callable[[Payment], int]
    ask: Callable[[Payment, int], Awaitable[int]]
    after: Callable[[Payment, int], Payment]


async def _insist(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Asks again, by the same key, as long as the answer is lost. Raises Refusal UNAVAILABLE when it stays lost."""
    for _ in range(_ATTEMPTS):
        try:
            return await ask()
        except AnswerLostError:
            continue
    raise Refusal(PlatformReason.UNAVAILABLE, "The acquirer does not answer; ask again with the same key.")


def _payment(authorisation: Authorisation, amount: Money, method: str, reference: str, user_id: str) -> Payment:
    return Payment(
        payment_id=uuid7(),
        user_id=user_id,
        state=State.AUTHORISED if authorisation.verdict is Verdict.APPROVED else State.DECLINED,
        currency=amount.currency,
        amount=amount.minor_units,
        captured=0,
        refunded=0,
        method=method,
        reference=reference,
        acquirer_reference=authorisation.reference,
        create_time=_UNSET,
        update_time=_UNSET,
    )


def _found(found: _T | None) -> _T:
    if found is None:
        raise Refusal(PlatformReason.NOT_FOUND, "There is no such payment.")
    return found


def _being_changed() -> Refusal:
    return Refusal(PlatformReason.ABORTED, "The payment is being changed by others; ask again.")


def _decline(verdict: Verdict) -> Refusal | None:
    match verdict:
        case Verdict.APPROVED:
            return None
        case Verdict.DECLINED:
            return Refusal(Reason.PAYMENT_DECLINED, "The acquirer has declined the payment.")
        case Verdict.INSUFFICIENT_FUNDS:
            return Refusal(Reason.INSUFFICIENT_FUNDS, "The buyer's account does not cover the amount.")


def _not_possible(kind: Kind, error: NotPossibleError) -> Refusal:
    """Another call was quicker at the acquirer than in our books."""
    if kind is Kind.REFUND and error.state == State.CAPTURED:
        return rules.amount_exceeded(error.left)
    return rules.invalid_state(error.state, f"the object of a {kind.lower()} any more")


def _unknown_method(method: str) -> Refusal:
    detail = f"The means of payment {method!r} is unknown."
    violation = Violation("method", "method.known", "must be a known means of payment")
    return Refusal(PlatformReason.INVALID_ARGUMENT, detail, violations=[violation])
