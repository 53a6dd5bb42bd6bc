"""Promotions with their coupons' uses, daily demand, and what customers have spent."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE promotion (
            promotion_id text COLLATE "C" PRIMARY KEY,
            name text NOT NULL,
            exclusivity_group text NOT NULL DEFAULT '',
            coupon_code text NOT NULL DEFAULT '',
            terms jsonb NOT NULL,
            start_time timestamptz,
            end_time timestamptz,
            redemption_limit integer NOT NULL DEFAULT 0 CHECK (redemption_limit >= 0),
            redemption_limit_per_user integer NOT NULL DEFAULT 0 CHECK (redemption_limit_per_user >= 0),
            redemptions integer NOT NULL DEFAULT 0 CHECK (redemptions >= 0),
            CHECK (redemption_limit = 0 OR redemptions <= redemption_limit),
            CHECK (end_time > start_time)
        )
    """)
    op.execute("CREATE UNIQUE INDEX promotion_coupon ON promotion (coupon_code) WHERE coupon_code <> ''")
    op.execute("""
        CREATE TABLE redemption (
            key text PRIMARY KEY,
            user_id uuid,
            coupon_codes text[] NOT NULL,
            released_at timestamptz
        )
    """)
    op.execute("""
        CREATE TABLE coupon_use (
            promotion_id text COLLATE "C" REFERENCES promotion,
            user_id uuid,
            uses integer NOT NULL CHECK (uses >= 0),
            PRIMARY KEY (promotion_id, user_id)
        )
    """)
    op.execute("""
        CREATE TABLE demand_day (
            product_id uuid,
            day date,
            units bigint NOT NULL CHECK (units >= 0),
            revenue_minor_units bigint NOT NULL CHECK (revenue_minor_units >= 0),
            PRIMARY KEY (product_id, day)
        ) WITH (fillfactor = 80)
    """)
    op.execute("""
        CREATE TABLE counted_order (
            order_id uuid PRIMARY KEY,
            user_id uuid NOT NULL,
            day date NOT NULL,
            spent_minor_units bigint NOT NULL,
            cancelled boolean NOT NULL DEFAULT false
        )
    """)
    op.execute("""
        CREATE TABLE customer (
            user_id uuid PRIMARY KEY,
            spent_minor_units bigint NOT NULL CHECK (spent_minor_units >= 0)
        ) WITH (fillfactor = 80)
    """)


def downgrade() -> None:
    for table in ("customer", "counted_order", "demand_day", "coupon_use", "redemption", "promotion"):
        op.execute(f"DROP TABLE {table}")
