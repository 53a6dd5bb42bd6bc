-- The tables as the migrations of the context make them; a test compares the two.
CREATE TABLE warehouse (
    warehouse_id uuid PRIMARY KEY,
    name text NOT NULL,
    city text NOT NULL
);

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
) WITH (fillfactor = 70);

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
);

CREATE TABLE restock (
    key text PRIMARY KEY,
    warehouse_id uuid REFERENCES warehouse,
    product_ids uuid[] NOT NULL,
    quantities integer[] NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);
