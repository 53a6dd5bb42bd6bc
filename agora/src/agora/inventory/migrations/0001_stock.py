"""Warehouses, stock and reservations.

`received = available + held + sold` holds in every row of stock: no unit appears or vanishes, none is promised twice.
"""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE warehouse (
            warehouse_id uuid PRIMARY KEY,
            name text NOT NULL,
            city text NOT NULL
        )""")
    # Every order updates its rows' counters in place: the free space in each page keeps those updates off the index.
    op.execute("""
        CREATE TABLE stock (
            product_id uuid NOT NULL,
            warehouse_id uuid NOT NULL REFERENCES warehouse,
            received bigint NOT NULL,
            available integer NOT NULL,
            held integer NOT NULL DEFAULT 0,
            sold bigint NOT NULL DEFAULT 0,
            PRIMARY KEY (product_id, warehouse_id),
            CONSTRAINT stock_is_never_below_zero CHECK (available >= 0 AND held >= 0 AND sold >= 0),
            CONSTRAINT stock_is_conserved CHECK (received = available + held + sold)
        ) WITH (fillfactor = 70)""")
    # An allocation is (product, warehouse, quantity) at one position of the three arrays; it never changes.
    op.execute("""
        CREATE TABLE reservation (
            reservation_id uuid PRIMARY KEY,
            key text NOT NULL UNIQUE,
            state text NOT NULL CHECK (state IN ('HELD', 'CONFIRMED', 'RELEASED', 'EXPIRED')),
            product_ids uuid[] NOT NULL,
            warehouse_ids uuid[] NOT NULL,
            quantities integer[] NOT NULL,
            expire_time timestamptz NOT NULL,
            create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
            CONSTRAINT allocations_are_whole CHECK (
                cardinality(quantities) > 0
                AND cardinality(product_ids) = cardinality(quantities)
                AND cardinality(warehouse_ids) = cardinality(quantities)
                AND 0 < ALL (quantities)
            )
        )""")
    op.execute("CREATE INDEX reservation_held ON reservation (expire_time) WHERE state = 'HELD'")
    op.execute("""
        CREATE TABLE restock (
            key text PRIMARY KEY,
            warehouse_id uuid REFERENCES warehouse,
            product_ids uuid[] NOT NULL,
            quantities integer[] NOT NULL,
            create_time timestamptz NOT NULL DEFAULT clock_timestamp()
        )""")
    op.execute("CREATE VIEW published.stock_v1 AS SELECT product_id, warehouse_id, available FROM stock")


def downgrade() -> None:
    op.execute("DROP VIEW published.stock_v1")
    op.execute("DROP TABLE restock, reservation, stock, warehouse")
