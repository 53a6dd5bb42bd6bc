"""What other processes need to search the products on sale, and to hear that one changed."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("""
        CREATE VIEW published.product_search_v1 AS
        SELECT product_id, seller_id, title, description, category_ids, 'USD' AS currency, base_price_minor_units,
            release_year, created_at, updated_at, version, title_key, search
        FROM product
        WHERE deleted_at IS NULL
    """)
    op.execute("COMMENT ON VIEW published.product_search_v1 IS 'Products on sale, with what search needs.'")
    op.execute("CREATE VIEW published.category_v1 AS SELECT category_id, name FROM category")
    op.execute("""
        CREATE FUNCTION published.fold_v1(words text) RETURNS text
        LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
        RETURN fold(words)
    """)
    op.execute("COMMENT ON FUNCTION published.fold_v1 IS 'Words as products are searched by.'")
    op.execute("""
        CREATE VIEW published.catalog_events_v1 AS
        SELECT position, id, type, subject, sequence, time, traceparent, causation, data
        FROM outbox
        WHERE type IN (
            'agora.catalog.v1.ProductCreated', 'agora.catalog.v1.ProductUpdated', 'agora.catalog.v1.ProductDeleted'
        )
    """)


def downgrade() -> None:
    op.execute("DROP VIEW published.catalog_events_v1")
    op.execute("DROP FUNCTION published.fold_v1(text)")
    op.execute("DROP VIEW published.category_v1")
    op.execute("DROP VIEW published.product_search_v1")
