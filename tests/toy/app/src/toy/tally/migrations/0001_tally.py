from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("CREATE TABLE tally (author text PRIMARY KEY, notes bigint NOT NULL)")


def downgrade() -> None:
    op.execute("DROP TABLE tally")
