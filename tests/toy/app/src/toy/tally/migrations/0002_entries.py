"""Which events took effect, in the order in which they did, and who took them; and who is not counted."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE entry (
            number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            subject text NOT NULL,
            sequence bigint NOT NULL,
            taken_by text NOT NULL
        )
    """)
    op.execute("CREATE TABLE uncounted (author text PRIMARY KEY)")


def downgrade() -> None:
    op.execute("DROP TABLE entry, uncounted")
