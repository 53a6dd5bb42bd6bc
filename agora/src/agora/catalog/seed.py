"""How categories and products lie in the catalogue's tables, for whoever fills a new shop."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

Table = tuple[str, tuple[str, ...], list[Sequence[Any]]]


def categories(rows: Iterable[tuple[str, str]]) -> Table:
    """From (category_id, name)."""
    return "category", ("category_id", "name"), list(rows)


def products(rows: Iterable[tuple[str, str, str, str, Sequence[str], int, int, datetime]]) -> Table:
    """From (product_id, seller_id, title, description, category_ids, cents, release year, when it was put on sale)."""
    columns = (
        "product_id", "seller_id", "title", "description", "category_ids", "base_price_minor_units", "release_year",
        "created_at", "updated_at",
    )  # fmt: skip
    return "product", columns, [(*row, row[-1]) for row in rows]
