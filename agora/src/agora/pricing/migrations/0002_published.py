"""What a price depends on besides the product: how it sold lately, and what its customer has spent."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE VIEW published.demand_day_v1 AS SELECT product_id, day, units FROM demand_day")
    op.execute("CREATE VIEW published.customer_v1 AS SELECT user_id, spent_minor_units FROM customer")


def downgrade() -> None:
    op.execute("DROP VIEW published.customer_v1")
    op.execute("DROP VIEW published.demand_day_v1")
