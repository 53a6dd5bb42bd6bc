-- A rival's database: what Agora keeps in six schemas, as one application would keep it.
CREATE TABLE users (
    user_id uuid PRIMARY KEY,
    email text NOT NULL,
    password text NOT NULL,
    display_name text NOT NULL,
    roles text[] NOT NULL DEFAULT '{}',
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE category (category_id uuid PRIMARY KEY, name text NOT NULL);

CREATE TABLE product (
    product_id uuid PRIMARY KEY,
    seller_id uuid NOT NULL,
    title text NOT NULL,
    description text NOT NULL,
    category_ids uuid[] NOT NULL,
    base_price bigint NOT NULL CHECK (base_price > 0),
    release_year integer NOT NULL,
    version bigint NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    search tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple', title || ' ' || description)) STORED
);
CREATE INDEX product_search ON product USING gin (search);
CREATE INDEX product_title ON product (title, product_id);

CREATE TABLE stock (
    product_id uuid NOT NULL,
    warehouse_id uuid NOT NULL,
    available integer NOT NULL CHECK (available >= 0),
    PRIMARY KEY (product_id, warehouse_id)
) WITH (fillfactor = 70);

CREATE TABLE demand_day (
    product_id uuid NOT NULL,
    day date NOT NULL,
    units bigint NOT NULL,
    revenue bigint NOT NULL,
    PRIMARY KEY (product_id, day)
) WITH (fillfactor = 80);

CREATE TABLE customer (user_id uuid PRIMARY KEY, spent bigint NOT NULL) WITH (fillfactor = 70);

CREATE TABLE orders (
    order_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    state text NOT NULL,
    lines jsonb NOT NULL,
    taken jsonb NOT NULL,
    total bigint NOT NULL,
    payment_method text NOT NULL,
    payment_id uuid NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_of_user ON orders (user_id, create_time DESC);

-- What an Idempotency-Key was answered: an order or a refusal of the business. No status: the transaction is under way.
CREATE TABLE answered (
    user_id uuid NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status integer,
    answer text,
    PRIMARY KEY (user_id, key)
);

CREATE TABLE ledger_entry (
    entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid NOT NULL,
    account text NOT NULL,
    minor_units bigint NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_of_payment ON ledger_entry (payment_id);

CREATE TABLE signing_key (kid text PRIMARY KEY, private_pem text NOT NULL);
