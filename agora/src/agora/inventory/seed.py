"""How warehouses and stock lie in the inventory's tables, for whoever fills a new shop."""

from collections.abc import Iterable, Sequence
from typing import Any

Table = tuple[str, tuple[str, ...], list[Sequence[Any]]]


def warehouses(rows: Iterable[tuple[str, str, str]]) -> Table:
    """From (warehouse_id, name, city)."""
    return "warehouse", ("warehouse_id", "name", "city"), list(rows)


def stock(rows: Iterable[tuple[str, str, int]]) -> Table:
    """From (product_id, warehouse_id, units), none of them held or sold."""
    columns = ("product_id", "warehouse_id", "received", "available")
    return "stock", columns, [(product_id, warehouse_id, units, units) for product_id, warehouse_id, units in rows]
