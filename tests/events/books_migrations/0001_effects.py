"""What the subscriber of these tests did, in the order in which it did it."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE effect (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            "group" text NOT NULL,
            subject text NOT NULL,
            sequence bigint NOT NULL,
            value text NOT NULL
        )
    """)
    op.execute("CREATE TABLE poison (value text PRIMARY KEY)")


def downgrade() -> None:
    op.execute("DROP TABLE effect, poison")
