"""Categories and products, with what search needs."""

from alembic import op

revision = "0001"
down_revision = None

# The same for what is stored and what is asked: decomposed, accents and the apostrophe of a genitive dropped, every
# other sign a space. Signs are listed rather than asked for by class, so that the result does not depend on the locale
# of the database.
FOLD = r"""
    CREATE FUNCTION fold(words text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN trim(
        regexp_replace(
            regexp_replace(
                lower(regexp_replace(normalize(words, NFKD), '[\u0300-\u036f]+', '', 'g')),
                '[''\u2019]s\M', 's', 'g'
            ),
            '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u1680\u2000-\u206f\u3000-\u303f]+', ' ', 'g'
        )
    )
"""


# What titles are sorted and compared by. Fifty characters, however encoded, fit into an index and into a page token.
KEY_CHARACTERS = 50


def upgrade() -> None:
    op.execute(FOLD)
    op.execute("""
        CREATE TABLE category (
            category_id uuid PRIMARY KEY,
            name text NOT NULL CHECK (name <> '')
        )
    """)
    op.execute("CREATE UNIQUE INDEX category_name ON category (lower(name))")
    op.execute(f"""
        CREATE TABLE product (
            product_id uuid PRIMARY KEY,
            seller_id uuid NOT NULL,
            title text NOT NULL CHECK (title <> ''),
            description text NOT NULL,
            category_ids uuid[] NOT NULL CHECK (cardinality(category_ids) BETWEEN 1 AND 10),
            base_price_minor_units bigint NOT NULL CHECK (base_price_minor_units > 0),
            release_year integer NOT NULL CHECK (release_year >= 0),
            created_at timestamptz NOT NULL,
            updated_at timestamptz NOT NULL,
            deleted_at timestamptz,
            version bigint NOT NULL DEFAULT 1,
            title_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (left(fold(title), {KEY_CHARACTERS})) STORED,
            search tsvector NOT NULL GENERATED ALWAYS AS (
                setweight(to_tsvector('simple', fold(title)), 'A')
                || setweight(to_tsvector('simple', fold(description)), 'D')
            ) STORED
        )
    """)
    on_sale = "WHERE deleted_at IS NULL"
    op.execute(f"CREATE INDEX product_search ON product USING gin (search) {on_sale}")
    op.execute(f"CREATE INDEX product_categories ON product USING gin (category_ids) {on_sale}")
    op.execute(f"CREATE INDEX product_by_title ON product (title_key, product_id) {on_sale}")
    op.execute(f"CREATE INDEX product_by_price ON product (base_price_minor_units, product_id) {on_sale}")
    op.execute(f"CREATE INDEX product_by_age ON product (created_at, product_id) {on_sale}")
    op.execute(f"CREATE INDEX product_by_seller ON product (seller_id, title_key, product_id) {on_sale}")


def downgrade() -> None:
    op.execute("DROP TABLE product")
    op.execute("DROP TABLE category")
    op.execute("DROP FUNCTION fold(text)")
