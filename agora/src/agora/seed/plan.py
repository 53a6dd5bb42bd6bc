"""The shop as rows: what goes into which table of which context."""

from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from agora.accounts import seed as accounts
from agora.catalog import seed as catalog
from agora.inventory import seed as inventory
from agora.pricing import seed as pricing
from agora.seed import movielens, shop
from agora.seed.draw import stable_id
from agora.seed.promotions import promotions

PASSWORD = "agora-demo"  # noqa: S105 - public: `up` prints it, and only a shop in development is filled
DEMO_ACCOUNTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("buyer@agora.example", "Demo Buyer", ()),
    (shop.DEMO_SELLER, "Demo Seller", ("seller",)),
    ("staff@agora.example", "Demo Staff", ("staff",)),
)


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one context, table by table in the order in which they can be loaded; the first column is a key."""

    context: str
    tables: tuple[tuple[str, tuple[str, ...], list[Any]], ...]

    @property
    def rows(self) -> int:
        return sum(len(rows) for _, _, rows in self.tables)


def make(today: date) -> list[Part]:
    """Everything that a new shop gets. The catalogue comes last: a shop with products has all the rest too.

    Raises:
        DataMissingError: the films are not installed.
    """
    made = shop.build(movielens.read(movielens.locate()), today)
    people = [(*_values(person), None) for person in (*made.sellers, *made.customers)]
    opened = made.sellers[0].joined_at
    demo = [(stable_id("user", email), email, name, roles, opened, PASSWORD) for email, name, roles in DEMO_ACCOUNTS]
    products = {product.product_id: product for product in made.products}
    return [
        Part("accounts", (accounts.users([*demo, *people]),)),
        Part(
            "inventory",
            (inventory.warehouses(map(_values, made.warehouses)), inventory.stock(map(_values, made.stock))),
        ),
        Part("pricing", (pricing.promotions(promotions(products)), pricing.demand(map(_values, made.demand)))),
        Part(
            "catalog",
            (catalog.categories(map(_values, made.categories)), catalog.products(map(_values, made.products))),
        ),
    ]


def _values(row: Any) -> tuple[Any, ...]:
    return tuple(getattr(row, field.name) for field in fields(row))
