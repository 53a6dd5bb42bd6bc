"""Filling an empty shop, again, twice at once, and after an interruption."""

import asyncio
from collections import Counter

import pytest

from agora.accounts.passwords import PasswordHasher
from agora.seed import fill, movielens
from tricorn.data import Database

Databases = dict[str, Database]
TABLES = {
    "accounts": ["users"],
    "inventory": ["warehouse", "stock"],
    "pricing": ["promotion", "demand_day"],
    "catalog": ["category", "product"],
}


async def _counts(databases: Databases) -> dict[str, int]:
    return {
        table: await databases[context].fetchval(f"SELECT count(*) FROM {table}")
        for context, tables in TABLES.items()
        for table in tables
    }


def _silent(what: str, done: int, total: int) -> None:
    """Nobody looks on."""


async def test_a_filled_shop_has_the_films_the_customers_stock_promotions_and_a_history(databases: Databases) -> None:
    heard: list[tuple[int, int]] = []

    await fill(databases, lambda _, done, total: heard.append((done, total)))

    counts = await _counts(databases)
    assert (counts["product"], counts["category"], counts["warehouse"]) == (1682, 19, 3)
    assert counts["users"] == 943 + 5 + 3
    assert counts["promotion"] == 14
    assert heard[-1] == (sum(counts.values()), sum(counts.values()))
    assert await databases["pricing"].fetchval("SELECT sum(units) FROM demand_day") == 100_000
    assert await databases["pricing"].fetchval("SELECT max(day) = now()::date - 1 FROM demand_day")


async def test_only_the_demo_accounts_have_a_password(databases: Databases) -> None:
    await fill(databases, _silent)

    rows = await databases["accounts"].fetch(
        "SELECT email, roles, password FROM users WHERE password <> '!' ORDER BY email"
    )

    assert [(row["email"], row["roles"]) for row in rows] == [
        ("buyer@agora.example", []),
        ("seller@agora.example", ["seller"]),
        ("staff@agora.example", ["staff"]),
    ]
    assert all(PasswordHasher().verify("agora-demo", row["password"]) for row in rows)
    sellers = await databases["accounts"].fetch("SELECT user_id FROM users WHERE 'seller' = ANY (roles)")
    of_products = await databases["catalog"].fetch("SELECT DISTINCT seller_id FROM product")
    assert {row["user_id"] for row in sellers} == {row["seller_id"] for row in of_products}


async def test_filling_again_or_twice_at_once_changes_nothing(databases: Databases) -> None:
    await asyncio.gather(fill(databases, _silent), fill(databases, _silent))
    counts = await _counts(databases)
    heard: list[str] = []

    await fill(databases, lambda what, _done, _total: heard.append(what))

    assert await _counts(databases) == counts
    assert heard == []


async def test_what_was_interrupted_is_whole_after_the_next_run(databases: Databases) -> None:
    def interrupt(_what: str, done: int, _total: int) -> None:
        if done > 20_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await fill(databases, interrupt)
    halfway = await _counts(databases)
    await fill(databases, _silent)

    assert halfway["stock"] > 0
    assert (halfway["promotion"], halfway["demand_day"], halfway["product"]) == (0, 0, 0)
    whole = await _counts(databases)
    assert (whole["stock"], whole["users"]) == (halfway["stock"], halfway["users"])
    assert (whole["promotion"], whole["product"]) == (14, 1682)


async def test_a_shop_that_sells_already_is_left_alone(databases: Databases) -> None:
    await databases["catalog"].execute("INSERT INTO category VALUES (gen_random_uuid(), 'Books')")
    await databases["catalog"].execute(
        "INSERT INTO product (product_id, seller_id, title, description, category_ids, base_price_minor_units,"
        " release_year, created_at, updated_at) SELECT gen_random_uuid(), gen_random_uuid(), 'A book', '',"
        " ARRAY[category_id], 1, 0, now(), now() FROM category"
    )

    await fill(databases, _silent)

    assert Counter(await _counts(databases)) == {
        **dict.fromkeys(await _counts(databases), 0),
        "category": 1,
        "product": 1,
    }


async def test_without_the_films_it_says_how_to_get_them_and_changes_nothing(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movielens, "PACKAGE", "no_such_package_of_films")

    with pytest.raises(ModuleNotFoundError, match=r"requirements-data\.txt.*--no-demo-data"):
        await fill(databases, _silent)

    assert set((await _counts(databases)).values()) == {0}
