"""A rival's database, filled with what Agora holds at that moment: the same films, stock, demand, people and signing key."""

import io
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

_SCHEMA = Path(__file__).with_name("schema.sql")
_COPIED = {
    "users (user_id, email, password, display_name, roles, version, create_time, update_time)":
        "SELECT user_id, email, password, display_name, roles, version, create_time, update_time FROM accounts.users"
        " WHERE is_active",
    "category (category_id, name)": "SELECT category_id, name FROM catalog.category",
    "product (product_id, seller_id, title, description, category_ids, base_price, release_year, version, create_time,"
    " update_time)":
        "SELECT product_id, seller_id, title, description, category_ids, base_price_minor_units, release_year, version,"
        " created_at, updated_at FROM catalog.product WHERE deleted_at IS NULL",
    "stock (product_id, warehouse_id, available)": "SELECT product_id, warehouse_id, available FROM inventory.stock",
    "demand_day (product_id, day, units, revenue)":
        "SELECT product_id, day, units, revenue_minor_units FROM pricing.demand_day",
    "customer (user_id, spent)": "SELECT user_id, spent_minor_units FROM pricing.customer",
    "signing_key (kid, private_pem)":
        "SELECT kid, private_pem FROM accounts.signing_keys WHERE sign_time <= now() ORDER BY sign_time DESC LIMIT 1",
}  # fmt: skip


async def fill(agora: str, name: str) -> str:
    """Makes the database ``name`` on Agora's own server (so with the same settings), and fills it; its URL.

    Args:
        agora: the administrator's URL of Agora's database.
        name: of the new database; one of that name is dropped.
    """
    source: Any = await asyncpg.connect(agora, timeout=10)
    try:
        await source.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await source.execute(f'CREATE DATABASE "{name}"')
        url = database_url(agora, name)
        target: Any = await asyncpg.connect(url, timeout=10)
        try:
            await target.execute(_SCHEMA.read_text())
            for columns, query in _COPIED.items():
                rows = io.BytesIO()
                await source.copy_from_query(query, output=rows)
                rows.seek(0)
                table, _, names = columns.partition(" ")
                await target.copy_to_table(table, source=rows, columns=names.strip("()").replace(" ", "").split(","))
            await target.execute("VACUUM ANALYZE")
        finally:
            await target.close()
    finally:
        await source.close()
    return url


def database_url(agora: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(agora)._replace(path=f"/{name}"))
