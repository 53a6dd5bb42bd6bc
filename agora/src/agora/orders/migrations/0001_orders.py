"""Orders with the state of their saga."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE orders (
            order_id uuid PRIMARY KEY,
            user_id uuid NOT NULL,
            state smallint NOT NULL CHECK (state BETWEEN 1 AND 6),
            open boolean NOT NULL,
            idempotency_key text NOT NULL,
            fingerprint bytea NOT NULL,
            quote bytea NOT NULL,
            total bigint NOT NULL CHECK (total >= 0),
            coupons text[] NOT NULL DEFAULT '{}',
            payment_method text NOT NULL,
            payment_id uuid,
            reservation_id uuid,
            refusal jsonb,
            fence bigint NOT NULL DEFAULT 1,
            lease_until timestamptz NOT NULL,
            attempts integer NOT NULL DEFAULT 0,
            version bigint NOT NULL DEFAULT 1,
            create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT orders_key UNIQUE (user_id, idempotency_key),
            CONSTRAINT orders_refusal CHECK ((state = 4) = (refusal IS NOT NULL)),
            CONSTRAINT orders_placed CHECK (state IN (1, 4) OR (payment_id IS NOT NULL AND reservation_id IS NOT NULL)),
            CONSTRAINT orders_settled CHECK (open OR state IN (3, 4, 6))
        )
    """)
    op.execute("CREATE INDEX orders_by_user ON orders (user_id, order_id DESC) WHERE state <> 4")
    op.execute("CREATE INDEX orders_open ON orders (lease_until) WHERE open")


def downgrade() -> None:
    op.execute("DROP TABLE orders")
