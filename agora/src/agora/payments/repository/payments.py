"""Payments and the answers to their keys. A change is one statement: payment, answer and booking commit together."""

import json
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

import asyncpg

from agora.payments.domain.ledger import Entry
from agora.payments.domain.payment import Answer, KeyTakenError, Kind, Payment, State
from tricorn.contract import Refusal
from tricorn.data import Database, Record, Together, array_text, asked, uuid7

_COLUMNS = """
payment.payment_id, user_id, payment.state, currency, amount, payment.captured, payment.refunded, method, reference,
acquirer_reference, create_time, update_time
"""
_ANSWER_COLUMNS = """
fingerprint, operation.state AS then_state, operation.captured AS then_captured, operation.refunded AS then_refunded,
operation_time, refusal_reason, refusal_detail, refusal_metadata::text
"""

_READ = f"SELECT {_COLUMNS} FROM payment WHERE payment_id = $1"

# Two conditions on the same ids, so that no plan reads more than these (decision 21).
_READ_WITH_ANSWER = f"""
SELECT n, {_COLUMNS}, {_ANSWER_COLUMNS}
FROM {asked("wanted_id uuid, wanted_kind text, wanted_key text")}
    JOIN payment ON payment.payment_id = wanted_id AND payment.payment_id = ANY ($1)
    LEFT JOIN operation ON operation.kind = wanted_kind AND operation.key = wanted_key
        AND operation.kind = ANY ($2) AND operation.key = ANY ($3)
"""

_READ_ANSWER = f"""
SELECT {_COLUMNS}, {_ANSWER_COLUMNS} FROM operation JOIN payment USING (payment_id) WHERE kind = $1 AND key = $2
"""

_NEW = asked("""payment_id uuid, user_id uuid, state text, currency text, amount bigint, method text, reference text,
    acquirer_reference uuid, key text, fingerprint bytea, refusal_reason text, refusal_detail text, refusal_metadata text,
    transaction_id uuid, accounts text, amounts text""")
# PostgreSQL checks foreign keys at a statement's end, when all of its rows are there.
_CREATE = f"""
WITH asked AS (SELECT * FROM {_NEW}), paid AS (
    INSERT INTO payment (payment_id, user_id, state, currency, amount, method, reference, acquirer_reference)
    SELECT payment_id, user_id, state, currency, amount, method, reference, acquirer_reference FROM asked
), answered AS (
    INSERT INTO operation (kind, key, fingerprint, payment_id, state, captured, refunded,
        refusal_reason, refusal_detail, refusal_metadata)
    SELECT 'AUTHORISE', key, fingerprint, payment_id, state, 0, 0, refusal_reason, refusal_detail, refusal_metadata::json FROM asked
), booked AS (
    INSERT INTO ledger_transaction (transaction_id, kind, payment_id, currency, accounts, amounts)
    SELECT transaction_id, 'AUTHORISE', payment_id, currency, accounts::text[], amounts::bigint[] FROM asked WHERE accounts <> '{{}}'
)
SELECT n, now() AS create_time FROM asked
"""

_ASKED = asked("""payment_id uuid, known_state text, known_captured bigint, known_refunded bigint, state text, captured bigint,
    refunded bigint, kind text, key text, fingerprint bytea, transaction_id uuid, accounts text, amounts text""")
_CHANGE = f"""
WITH asked AS (SELECT * FROM {_ASKED}), changed AS (
    UPDATE payment SET state = asked.state, captured = asked.captured, refunded = asked.refunded, update_time = now() FROM asked
    WHERE payment.payment_id = asked.payment_id AND payment.payment_id = ANY ($1)
        AND (payment.state, payment.captured, payment.refunded) = (known_state, known_captured, known_refunded)
    RETURNING update_time, currency, asked.*
), answered AS (
    INSERT INTO operation (kind, key, fingerprint, payment_id, state, captured, refunded)
    SELECT kind, key, fingerprint, payment_id, state, captured, refunded FROM changed
), booked AS (
    INSERT INTO ledger_transaction (transaction_id, kind, payment_id, currency, accounts, amounts)
    SELECT transaction_id, kind, payment_id, currency, accounts::text[], amounts::bigint[] FROM changed WHERE accounts <> '{{}}'
)
SELECT n, update_time FROM changed
"""

_REFUSE = """
INSERT INTO operation
    (kind, key, fingerprint, payment_id, state, captured, refunded, refusal_reason, refusal_detail, refusal_metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::json) ON CONFLICT (kind, key) DO NOTHING
"""


class PaymentsRepository:
    """What is done to several payments at the same time shares its statements."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._with_answer = Together(database, _READ_WITH_ANSWER, key=itemgetter(0, 1, 2))
        self._create = Together(database, _CREATE, key=itemgetter(8))
        self._change = Together(database, _CHANGE, key=itemgetter(0))

    async def payment(self, payment_id: str) -> Payment | None:
        row = await self._database.fetchrow(_READ, payment_id)
        return _payment(row) if row else None

    async def with_answer(self, payment_id: str, kind: Kind, key: str) -> tuple[Payment, Answer | None] | None:
        """A payment, and what the key was answered, for whichever payment that was; None when there is no such payment.

        The answer's own payment is right only if that was this one, which its fingerprint tells.
        """
        row = await self._with_answer(payment_id, kind, key)
        return (_payment(row), _answer(row)) if row else None

    async def answer(self, kind: Kind, key: str) -> Answer | None:
        row = await self._database.fetchrow(_READ_ANSWER, kind, key)
        return _answer(row) if row else None

    async def create(self, payment: Payment, key: str, answer: Answer, entries: Sequence[Entry]) -> Payment | None:
        """Stores a payment with its first answer and booking; its times are the database's. None: the key is taken."""
        refusal = answer.refusal
        try:
            created = await self._create(
                payment.payment_id,
                payment.user_id,
                payment.state,
                payment.currency,
                payment.amount,
                payment.method,
                payment.reference,
                payment.acquirer_reference,
                key,
                answer.fingerprint,
                *_refusal_columns(refusal),
                uuid7(),
                *_columns(entries),
            )
        except asyncpg.UniqueViolationError:
            return None
        return (
            replace(payment, create_time=created["create_time"], update_time=created["create_time"])
            if created
            else None
        )

    async def change(
        self, before: Payment, after: Payment, *, kind: Kind, key: str, fingerprint: bytes, entries: Sequence[Entry]
    ) -> Payment | None:
        """Stores a change with its answer and its booking. None: the payment is no longer as before.

        Raises:
            KeyTakenError: The key has an answer; nothing was stored.
        """
        try:
            changed = await self._change(
                before.payment_id,
                before.state,
                before.captured,
                before.refunded,
                after.state,
                after.captured,
                after.refunded,
                kind,
                key,
                fingerprint,
                uuid7(),
                *_columns(entries),
            )
        except asyncpg.UniqueViolationError:
            raise KeyTakenError(key) from None
        return replace(after, update_time=changed["update_time"]) if changed else None

    async def refuse(self, payment: Payment, kind: Kind, key: str, fingerprint: bytes, refusal: Refusal) -> None:
        """Remembers a refusal, unless the key has an answer already."""
        await self._database.execute(
            _REFUSE,
            kind,
            key,
            fingerprint,
            payment.payment_id,
            payment.state,
            payment.captured,
            payment.refunded,
            *_refusal_columns(refusal),
        )


def _columns(entries: Sequence[Entry]) -> tuple[str, str]:
    return array_text(entry.account for entry in entries), array_text(entry.amount for entry in entries)


def _refusal_columns(refusal: Refusal | None) -> tuple[str | None, str | None, str | None]:
    if refusal is None:
        return None, None, None
    return refusal.reason, refusal.detail, json.dumps(refusal.metadata)


def _payment(row: Record) -> Payment:
    return Payment(
        str(row["payment_id"]),
        str(row["user_id"]),
        State(row["state"]),
        row["currency"],
        row["amount"],
        row["captured"],
        row["refunded"],
        row["method"],
        row["reference"],
        str(row["acquirer_reference"]),
        row["create_time"],
        row["update_time"],
    )


def _answer(row: Record) -> Answer | None:
    if row["fingerprint"] is None:
        return None
    payment = replace(
        _payment(row),
        state=State(row["then_state"]),
        captured=row["then_captured"],
        refunded=row["then_refunded"],
        update_time=row["operation_time"],
    )
    reason = row["refusal_reason"]
    refusal = Refusal(reason, row["refusal_detail"], metadata=json.loads(row["refusal_metadata"])) if reason else None
    return Answer(row["fingerprint"], payment, refusal)
