"""The tables of events, in every context's schema.

`outbox` is the log: rows are inserted with the business transaction and never change, so nothing has to be rewritten
or vacuumed when an event is delivered. What is not delivered yet is a narrow row of `outbox_pending`, deleted when it
is: the relay's scan touches pending rows only.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE aggregate_sequence (
            subject text PRIMARY KEY,
            last bigint NOT NULL CHECK (last > 0)
        ) WITH (fillfactor = 80)
    """)
    op.execute("""
        CREATE TABLE outbox (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id uuid NOT NULL,
            type text NOT NULL,
            subject text NOT NULL,
            sequence bigint NOT NULL,
            partition smallint NOT NULL CHECK (partition BETWEEN 0 AND 63),
            time timestamptz NOT NULL DEFAULT clock_timestamp(),
            traceparent text NOT NULL,
            causation text NOT NULL,
            data bytea NOT NULL,
            UNIQUE (subject, sequence)
        )
    """)
    op.execute("CREATE INDEX outbox_type ON outbox (type, position)")
    op.execute("""
        CREATE TABLE outbox_pending (
            position bigint PRIMARY KEY,
            partition smallint NOT NULL
        ) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 2000)
    """)
    op.execute("""
        CREATE TABLE dead_letter (
            "group" text NOT NULL,
            position bigint NOT NULL,
            event_id uuid NOT NULL,
            subject text NOT NULL,
            partition smallint NOT NULL,
            state text NOT NULL CHECK (state IN ('parked', 'waiting', 'dropped')),
            attempts integer NOT NULL,
            error text NOT NULL,
            redrive boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY ("group", position)
        )
    """)
    op.execute("CREATE INDEX dead_letter_aggregate ON dead_letter (subject, position)")
    op.execute("CREATE INDEX dead_letter_redrive ON dead_letter (position) WHERE redrive")
    op.execute("""
        CREATE TABLE inbox (
            "group" text NOT NULL,
            event_id uuid NOT NULL,
            PRIMARY KEY ("group", event_id)
        )
    """)
    op.execute("""
        CREATE TABLE inbox_rebuild (
            "group" text PRIMARY KEY,
            token uuid NOT NULL,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("""
        CREATE TABLE relay_member (
            holder uuid PRIMARY KEY,
            name text NOT NULL,
            until timestamptz NOT NULL
        )
    """)
    op.execute("""
        CREATE TABLE relay_lease (
            slot smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 7),
            holder uuid,
            fence bigint NOT NULL DEFAULT 0,
            until timestamptz NOT NULL DEFAULT '-infinity'
        ) WITH (fillfactor = 50)
    """)
    op.execute("INSERT INTO relay_lease (slot) SELECT generate_series(0, 7)")


def downgrade() -> None:
    op.execute("""
        DROP TABLE relay_lease, relay_member, inbox_rebuild, inbox, dead_letter, outbox_pending, outbox,
            aggregate_sequence
    """)
