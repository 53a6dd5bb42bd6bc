import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tricorn.data import Database

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.events import ledger


@dataclass(frozen=True, slots=True)
class Shop:
    """A database of the test's own, with both contexts."""

    shop: Database
    books: Database

    @property
    def urls(self) -> tuple[str, str]:
        return self.shop.url, self.books.url


@pytest.fixture
async def db(database_factory: Any) -> AsyncIterator[Shop]:
    async with (
        database_factory(ledger.CONTEXTS, prefix="events") as made,
        made.connect("shop", size=40) as shop,
        made.connect("books", size=12) as books,
    ):
        yield Shop(shop, books)
