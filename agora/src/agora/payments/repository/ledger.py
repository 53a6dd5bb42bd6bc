"""The ledger: what is not in the chain yet, the chain and its head."""

from collections.abc import Sequence

from agora.payments.domain.ledger import Entry, Head, Link, Transaction, Unsigned
from tricorn.data import Connection, Database, Record

_COLUMNS = "transaction_id, kind, payment_id, currency, accounts, amounts, create_time"

_UNSIGNED = f"""
SELECT {_COLUMNS} FROM ledger_transaction WHERE sequence IS NULL ORDER BY transaction_id LIMIT $1
"""

_CHAIN = """
WITH linked AS (
    UPDATE ledger_transaction SET sequence = link.sequence, previous_hash = link.previous_hash, hash = link.hash,
        signature = link.signature, key_id = link.key_id
    FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[])
        AS link (transaction_id, sequence, previous_hash, hash, signature, key_id)
    WHERE ledger_transaction.transaction_id = link.transaction_id AND ledger_transaction.sequence IS NULL
)
UPDATE ledger_head SET transactions = $7, hash = $8, signature = $9, key_id = $10
"""

_SIGNED = f"""
SELECT {_COLUMNS}, sequence, previous_hash, hash, signature, key_id FROM ledger_transaction
WHERE sequence > $1 ORDER BY sequence LIMIT $2
"""

_UNSIGNED_COUNT = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(create_time)), 0)::float8
FROM ledger_transaction WHERE sequence IS NULL
"""

_UNSIGNED_SUMS = """
SELECT currency, sum(amount)::bigint FROM ledger_transaction, unnest(amounts) AS amount
WHERE sequence IS NULL GROUP BY currency
"""

# What a payment's columns say is what its bookings add up to, account by account.
_UNBOOKED = """
SELECT payment_id FROM (
    SELECT payment_id,
        CASE state WHEN 'AUTHORISED' THEN amount ELSE 0 END AS held, captured AS sold, refunded AS given_back
    FROM payment
) AS said FULL JOIN (
    SELECT payment_id,
        coalesce(-sum(amount) FILTER (WHERE account = 'buyer:held'), 0) AS held,
        coalesce(-sum(amount) FILTER (WHERE account = 'merchant:sales'), 0) AS sold,
        coalesce(sum(amount) FILTER (WHERE account = 'merchant:refunds'), 0) AS given_back
    FROM ledger_entry GROUP BY payment_id
) AS booked USING (payment_id)
WHERE (coalesce(said.held, 0), coalesce(said.sold, 0), coalesce(said.given_back, 0))
    <> (coalesce(booked.held, 0), coalesce(booked.sold, 0), coalesce(booked.given_back, 0))
ORDER BY payment_id LIMIT 1
"""


class LedgerRepository:
    def __init__(self, connection: Connection | Database) -> None:
        self._connection = connection

    async def lock_head(self) -> Head | None:
        """The end of the chain, ours until the transaction ends; None while another process has it."""
        row = await self._connection.fetchrow(
            "SELECT transactions, hash, signature, key_id FROM ledger_head FOR UPDATE SKIP LOCKED"
        )
        return Head(*row) if row else None

    async def head(self) -> Head | None:
        row = await self._connection.fetchrow("SELECT transactions, hash, signature, key_id FROM ledger_head")
        return Head(*row) if row else None

    async def unsigned(self, limit: int) -> list[Transaction]:
        return [_transaction(row) for row in await self._connection.fetch(_UNSIGNED, limit)]

    async def chain(self, links: Sequence[tuple[Transaction, Link]], head: Head) -> None:
        """Gives transactions their places and moves the head behind them."""
        await self._connection.execute(
            _CHAIN,
            [transaction.transaction_id for transaction, _ in links],
            [link.sequence for _, link in links],
            [link.previous_hash for _, link in links],
            [link.hash for _, link in links],
            [link.signature for _, link in links],
            [link.key_id for _, link in links],
            head.transactions,
            head.hash,
            head.signature,
            head.key_id,
        )

    async def signed(self, after: int, limit: int) -> list[tuple[Transaction, Link]]:
        """The next part of the chain behind sequence `after`."""
        return [
            (
                _transaction(row),
                Link(row["sequence"], row["previous_hash"], row["hash"], row["signature"], row["key_id"]),
            )
            for row in await self._connection.fetch(_SIGNED, after, limit)
        ]

    async def unsigned_count(self) -> Unsigned:
        row = await self._connection.fetchrow(_UNSIGNED_COUNT)
        return Unsigned(*row) if row else Unsigned(0, 0)

    async def unsigned_sums(self) -> dict[str, int]:
        return {row[0]: row[1] for row in await self._connection.fetch(_UNSIGNED_SUMS)}

    async def unbooked(self) -> list[str]:
        """At most one payment that the ledger books otherwise than the payment itself says."""
        return [str(row[0]) for row in await self._connection.fetch(_UNBOOKED)]


def _transaction(row: Record) -> Transaction:
    return Transaction(
        str(row["transaction_id"]),
        row["kind"],
        str(row["payment_id"]),
        row["currency"],
        tuple(map(Entry, row["accounts"], row["amounts"])),
        row["create_time"],
    )
