"""The sandbox acquirer: test methods instead of cards, and a memory of its own that survives any crash of ours.

It writes in its own transactions, never in those of the caller, as an acquirer across the network would.
"""

import asyncio
from operator import itemgetter

import asyncpg

from agora.payments.domain.acquirer import (
    AnswerLostError,
    Authorisation,
    KeyMismatchError,
    NotPossibleError,
    UnknownMethodError,
    Verdict,
)
from agora.payments.domain.payment import Kind, Money
from tricorn.data import Database, Together, asked, uuid7

_OK = "test_ok"
_LOST = "test_answer_lost"
_SLOW = "test_slow"
_VERDICTS = {
    _OK: Verdict.APPROVED,
    _LOST: Verdict.APPROVED,
    _SLOW: Verdict.APPROVED,
    "test_declined": Verdict.DECLINED,
    "test_insufficient_funds": Verdict.INSUFFICIENT_FUNDS,
}

_AUTHORISE = f"""
WITH asked AS (
    SELECT * FROM {asked("reference uuid, key text, method text, currency text, amount bigint, outcome text")}
), created AS (
    INSERT INTO acquirer_authorisation (reference, key, method, currency, amount, outcome, state)
    SELECT reference, key, method, currency, amount, outcome, CASE outcome WHEN 'APPROVED' THEN 'OPEN' ELSE 'VOIDED' END
    FROM asked
    ON CONFLICT (key) DO NOTHING RETURNING reference
)
SELECT n FROM created JOIN asked USING (reference)
"""

_FIND = "SELECT reference, method, currency, amount, outcome FROM acquirer_authorisation WHERE key = $1"

# The operation is remembered only when the change was possible, and the change is made only when it is new.
_CHANGE = """
WITH asked AS (SELECT * FROM {asked}), changed AS (
    UPDATE acquirer_authorisation AS a SET {change} FROM asked
    WHERE a.reference = asked.reference AND a.reference = ANY ($3) AND {possible}
        AND NOT EXISTS (SELECT FROM acquirer_operation AS o
            WHERE o.kind = asked.kind AND o.key = asked.key AND o.kind = ANY ($1) AND o.key = ANY ($2))
    RETURNING asked.*
), done AS (
    INSERT INTO acquirer_operation (kind, key, reference, amount) SELECT kind, key, reference, minor_units FROM changed
)
SELECT n, minor_units FROM changed
"""
_ASKED = asked("kind text, key text, reference uuid, minor_units bigint")
_CHANGES = {
    Kind.CAPTURE: _CHANGE.format(asked=_ASKED, change="state = 'CAPTURED'", possible="state = 'OPEN'"),
    Kind.VOID: _CHANGE.format(asked=_ASKED, change="state = 'VOIDED'", possible="state = 'OPEN'"),
    Kind.REFUND: _CHANGE.format(
        asked=_ASKED,
        change="refunded = refunded + minor_units",
        possible="state = 'CAPTURED' AND refunded + minor_units <= a.amount",
    ),
}

_REMEMBERED = """
SELECT acquirer_operation.reference = $3 AS same, acquirer_operation.amount AS done, state,
    acquirer_authorisation.amount - refunded AS left
FROM acquirer_authorisation LEFT JOIN acquirer_operation ON kind = $1 AND acquirer_operation.key = $2
WHERE acquirer_authorisation.reference = $3
"""


class SandboxAcquirer:
    """Implements `domain.acquirer.Acquirer`.

    Methods: `test_ok`; `test_declined`; `test_insufficient_funds`; `test_answer_lost` authorises, and its first answer
    never arrives; `test_slow` answers after `slow_seconds`.
    """

    def __init__(self, database: Database, slow_seconds: float) -> None:
        self._database = database
        self._slow_seconds = slow_seconds
        self._authorise = Together(database, _AUTHORISE, key=itemgetter(1))
        self._changes = {kind: Together(database, statement, key=itemgetter(2)) for kind, statement in _CHANGES.items()}

    async def authorise(self, key: str, amount: Money, method: str) -> Authorisation:
        verdict = _VERDICTS.get(method)
        if verdict is None:
            raise UnknownMethodError(method)
        reference = uuid7()
        created = await self._authorise(reference, key, method, amount.currency, amount.minor_units, verdict)
        if method == _SLOW:
            await asyncio.sleep(self._slow_seconds)
        if created is None:
            return await self._remembered(key, amount, method)
        if method == _LOST:
            raise AnswerLostError(key)
        return Authorisation(reference, verdict)

    async def _remembered(self, key: str, amount: Money, method: str) -> Authorisation:
        row = await self._database.fetchrow(_FIND, key)
        if row is None or (row["method"], row["currency"], row["amount"]) != (
            method,
            amount.currency,
            amount.minor_units,
        ):
            raise KeyMismatchError(key)
        return Authorisation(str(row["reference"]), Verdict(row["outcome"]))

    async def capture(self, key: str, reference: str) -> None:
        await self._change(Kind.CAPTURE, key, reference, 0)

    async def void(self, key: str, reference: str) -> None:
        await self._change(Kind.VOID, key, reference, 0)

    async def refund(self, key: str, reference: str, minor_units: int) -> int:
        return await self._change(Kind.REFUND, key, reference, minor_units)

    async def _change(self, kind: Kind, key: str, reference: str, minor_units: int) -> int:
        try:
            done = await self._changes[kind](kind, key, reference, minor_units)
        except asyncpg.UniqueViolationError:
            done = None
        if done is not None:
            return int(done["minor_units"])
        row = await self._database.fetchrow(_REMEMBERED, kind, key, reference)
        if row is None:
            raise NotPossibleError("UNKNOWN")
        if row["same"] is None:
            raise NotPossibleError(row["state"], row["left"])
        if not row["same"]:
            raise KeyMismatchError(key)
        return int(row["done"])
