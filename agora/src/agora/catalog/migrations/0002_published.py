"""What other processes may read of products without asking the catalogue."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        CREATE VIEW published.product_v1 AS
        SELECT product_id, seller_id, title, description, category_ids, 'USD' AS currency, base_price_minor_units,
            release_year, created_at, updated_at, version
        FROM product
        WHERE deleted_at IS NULL
    """)
    op.execute("COMMENT ON VIEW published.product_v1 IS 'Products on sale.'")


def downgrade() -> None:
    op.execute("DROP VIEW published.product_v1")
