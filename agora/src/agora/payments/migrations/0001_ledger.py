"""Payments, the double-entry ledger, and what the sandbox acquirer remembers."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE payment (
            payment_id uuid PRIMARY KEY,
            user_id uuid NOT NULL,
            state text NOT NULL CHECK (state IN ('AUTHORISED', 'CAPTURED', 'VOIDED', 'REFUNDED', 'DECLINED')),
            currency text NOT NULL,
            amount bigint NOT NULL CHECK (amount >= 0),
            captured bigint NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND amount),
            refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND captured),
            method text NOT NULL,
            reference text NOT NULL,
            acquirer_reference uuid NOT NULL,
            create_time timestamptz NOT NULL DEFAULT now(),
            update_time timestamptz NOT NULL DEFAULT now()
        ) WITH (fillfactor = 80)""")
    # The terminal answer that each key was given: the payment as it was then, or a refusal.
    op.execute("""
        CREATE TABLE operation (
            kind text NOT NULL CHECK (kind IN ('AUTHORISE', 'CAPTURE', 'VOID', 'REFUND')),
            key text NOT NULL,
            fingerprint bytea NOT NULL,
            payment_id uuid NOT NULL REFERENCES payment,
            state text NOT NULL,
            captured bigint NOT NULL,
            refunded bigint NOT NULL,
            refusal_reason text,
            refusal_detail text,
            refusal_metadata json,
            operation_time timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (kind, key)
        )""")
    # A transaction is one row, so that its balance is a rule of the row: nothing unbalanced is ever stored, and no
    # trigger can be deferred or skipped. Debits are positive, credits negative. The chain's columns are filled later,
    # all at once.
    op.execute("""
        CREATE TABLE ledger_transaction (
            transaction_id uuid PRIMARY KEY,
            kind text NOT NULL,
            payment_id uuid NOT NULL,
            currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
            accounts text[] NOT NULL,
            amounts bigint[] NOT NULL,
            create_time timestamptz NOT NULL DEFAULT now(),
            sequence bigint UNIQUE CHECK (sequence > 0),
            previous_hash bytea,
            hash bytea,
            signature bytea,
            key_id text,
            CONSTRAINT entries_are_whole CHECK (
                array_ndims(amounts) = 1 AND array_lower(amounts, 1) = 1
                AND cardinality(amounts) BETWEEN 2 AND 4
                AND cardinality(accounts) = cardinality(amounts)
                AND array_position(amounts, NULL) IS NULL
            ),
            CONSTRAINT entries_sum_to_zero CHECK (
                amounts[1] + amounts[2] + coalesce(amounts[3], 0) + coalesce(amounts[4], 0) = 0
            ),
            CONSTRAINT accounts_are_known CHECK (
                accounts <@ ARRAY['acquirer:authorised', 'acquirer:clearing', 'buyer:held',
                    'merchant:sales', 'merchant:refunds']
            ),
            CONSTRAINT link_is_whole CHECK (
                num_nonnulls(sequence, previous_hash, hash, signature, key_id) IN (0, 5)
            )
        ) WITH (fillfactor = 70)""")
    op.execute("CREATE INDEX ledger_unsigned ON ledger_transaction (transaction_id) WHERE sequence IS NULL")
    op.execute("""
        CREATE VIEW ledger_entry AS
            SELECT transaction_id, payment_id, kind, currency, account, amount, create_time
            FROM ledger_transaction, unnest(accounts, amounts) AS entry (account, amount)""")
    # How long the chain is and how it ends, signed: without it nobody would miss the last transactions.
    op.execute("""
        CREATE TABLE ledger_head (
            one boolean PRIMARY KEY DEFAULT true CHECK (one),
            transactions bigint NOT NULL,
            hash bytea NOT NULL,
            signature bytea NOT NULL,
            key_id text NOT NULL
        )""")
    op.execute("""
        INSERT INTO ledger_head (transactions, hash, signature, key_id)
        VALUES (0, decode(repeat('00', 32), 'hex'), '', '')""")
    op.execute("""
        CREATE TABLE acquirer_authorisation (
            reference uuid PRIMARY KEY,
            key text NOT NULL UNIQUE,
            method text NOT NULL,
            currency text NOT NULL,
            amount bigint NOT NULL CHECK (amount >= 0),
            outcome text NOT NULL CHECK (outcome IN ('APPROVED', 'DECLINED', 'INSUFFICIENT_FUNDS')),
            state text NOT NULL CHECK (state IN ('OPEN', 'CAPTURED', 'VOIDED')),
            refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND amount)
        ) WITH (fillfactor = 80)""")
    op.execute("""
        CREATE TABLE acquirer_operation (
            kind text NOT NULL,
            key text NOT NULL,
            reference uuid NOT NULL,
            amount bigint NOT NULL,
            PRIMARY KEY (kind, key)
        )""")


def downgrade() -> None:
    op.execute("DROP VIEW ledger_entry")
    op.execute("DROP TABLE acquirer_operation, acquirer_authorisation, ledger_head, ledger_transaction")
    op.execute("DROP TABLE operation, payment")
