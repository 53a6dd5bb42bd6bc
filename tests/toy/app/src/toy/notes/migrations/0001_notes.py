from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE note (note_id uuid PRIMARY KEY, author text NOT NULL, text text NOT NULL, locked bool NOT NULL)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE note")
