"""What a product is and what may be done to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from tricorn.contract import PlatformReason, Refusal, Violation

DEFAULT_PAGE_SIZE = 20
MAX_BIGINT = 2**63
MAX_MICROSECONDS = 5 * 10**16
"""Before and after 1970: some sixteen hundred years, which every calendar here bears."""

Place = list[str | int]
"""Where a product stands in an order: its sort key and its id."""


@dataclass(frozen=True, slots=True)
class Details:
    """What a seller says of a product. `base_price` is in cents of USD, `release_year` zero when unknown."""

    title: str
    description: str
    category_ids: tuple[str, ...]
    base_price: int
    release_year: int


DETAILS = tuple(field.name for field in fields(Details))
REQUIRED = ("title", "category_ids", "base_price")


@dataclass(frozen=True, slots=True)
class Product:
    """`version` counts the states of the product from 1."""

    product_id: str
    seller_id: str
    details: Details
    created_at: datetime
    updated_at: datetime
    deleted: bool
    version: int


@dataclass(frozen=True, slots=True)
class Category:
    category_id: str
    name: str
    product_count: int


@dataclass(frozen=True, slots=True)
class Figures:
    products: int
    categories: int
    sellers: int


class Order(StrEnum):
    """How found products are sorted; what is equal is sorted by id."""

    RELEVANCE = "relevance"
    TITLE = "title"
    PRICE = "price"
    PRICE_DESCENDING = "price desc"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: words, a category's id or name, a seller's id. What is empty does not narrow it."""

    query: str
    category: str
    seller_id: str
    order: Order


@dataclass(frozen=True, slots=True)
class Found:
    """One page, and the place after which the next one begins; None when this was the last."""

    products: tuple[Product, ...]
    last_place: Place | None


def search_for(query: str, category: str, seller_id: str, order_by: str) -> Search:
    """Reads a request. A query without a letter or digit asks for nothing; without a query nothing is relevant."""
    query = query if any(map(str.isalnum, query)) else ""
    by_default = Order.RELEVANCE if query else Order.TITLE
    order = by_default if order_by in {"", Order.RELEVANCE} else Order(order_by)
    return Search(query, category.strip(), seller_id, order)


def place_in(order: Order, position: Place | None) -> Place | None:
    """Where a page begins; None at the beginning.

    Raises:
        Refusal: PAGE_TOKEN_INVALID, when the position is not one of this order.
    """
    if position is None:
        return None
    try:
        key, product_id = position
        if isinstance(product_id, str) and UUID(product_id) and _is_key(order, key):
            return position
    except ValueError:
        pass
    raise Refusal(PlatformReason.PAGE_TOKEN_INVALID, "page_token is damaged; begin without one")


def _is_key(order: Order, key: str | int) -> bool:
    if order is Order.TITLE:
        return isinstance(key, str) and b"\0" not in key.encode()  # which lone surrogates have no encoding for
    if order is Order.NEWEST:
        return isinstance(key, int) and abs(key) <= MAX_MICROSECONDS
    return isinstance(key, int) and abs(key) < MAX_BIGINT


def tidy(details: Details, *, path: str = "") -> Details:
    """The details without white space around the texts, ids in their canonical form.

    `path` is where they stand in the request.

    Raises:
        Refusal: INVALID_ARGUMENT, when the title, the categories or the price is missing.
    """
    details = replace(
        details,
        title=details.title.strip(),
        description=details.description.strip(),
        category_ids=tuple(dict.fromkeys(str(UUID(category_id)) for category_id in details.category_ids)),
    )
    missing = [name for name in REQUIRED if not getattr(details, name)]
    if missing:
        raise Refusal(
            PlatformReason.INVALID_ARGUMENT,
            f"a product needs its {' and its '.join(missing)}",
            violations=[Violation(f"{path}{name}", "required", "must not be empty") for name in missing],
        )
    return details


def changed(product: Product, wanted: Mapping[str, Any]) -> tuple[Details, tuple[str, ...]]:
    """The details after a change, and the names of those that differ.

    Raises:
        Refusal: INVALID_ARGUMENT, when something that a product needs would be taken away.
    """
    details = tidy(replace(product.details, **wanted), path="product.")
    return details, tuple(name for name in DETAILS if getattr(details, name) != getattr(product.details, name))


def own(product: Product | None, seller_id: str, product_id: str) -> Product:
    """The product, on sale or not, if it is this seller's.

    Raises:
        Refusal: NOT_FOUND, when there is none or another seller took it off sale; PERMISSION_DENIED, when it is another
            seller's.
    """
    if product is None or (product.deleted and product.seller_id != seller_id):
        raise not_found(product_id)
    if product.seller_id != seller_id:
        raise Refusal(PlatformReason.PERMISSION_DENIED, "this product belongs to another seller")
    return product


def matches(product: Product, etag: str) -> bool:
    """Whether a change that is based on this etag may be made. An empty etag sets no condition."""
    return not etag or etag == str(product.version)


def was_made(product: Product, etag: str, differing: tuple[str, ...]) -> bool:
    """Whether a change has been made already: it was based on the version before this one and would alter nothing now.

    A call that is repeated because its answer was lost is answered like this, as RFC 9110 section 13.1.1 allows.
    """
    return not differing and etag == str(product.version - 1)


def stale(product: Product) -> Refusal:
    return Refusal(
        PlatformReason.PRECONDITION_FAILED,
        "the product has changed since it was read; read it again and repeat the change",
        metadata={"product_id": product.product_id, "etag": str(product.version)},
    )


def not_found(product_id: str) -> Refusal:
    return Refusal(PlatformReason.NOT_FOUND, "there is no such product", metadata={"product_id": product_id})


def check_categories(asked: Iterable[str], known: Iterable[str], *, path: str = "") -> None:
    """Makes sure that the categories exist.

    Raises:
        Refusal: INVALID_ARGUMENT, naming every one that does not.
    """
    known = set(known)
    unknown = [position for position, category_id in enumerate(asked) if category_id not in known]
    if unknown:
        raise Refusal(
            PlatformReason.INVALID_ARGUMENT,
            "there is no such category",
            violations=[
                Violation(f"{path}category_ids[{position}]", "category.exists", "must be the id of a category")
                for position in unknown
            ],
        )
