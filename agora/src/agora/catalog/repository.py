"""The SQL of the catalogue. One statement a call; the texts are few and constant: a connection prepares each once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from agora.catalog.domain import Category, Details, Figures, Order, Place, Product, Search
from tricorn.data import Database, Together, asked

COLUMNS = """
    product_id, seller_id, title, description, category_ids, base_price_minor_units, release_year, created_at,
    updated_at, deleted_at IS NOT NULL AS deleted, version
"""

# The words as titles are keyed; a query for each of them as a prefix, and one for each as a whole.
ASKED = """
    WITH asked AS MATERIALIZED (
        SELECT left(folded.words, 50) COLLATE "C" AS words, plainto_tsquery('simple', folded.words) AS wholes,
            (
                SELECT string_agg(quote_literal(lexeme) || ':*', ' & ') FROM unnest(to_tsvector('simple', folded.words))
            )::tsquery AS prefixes
        FROM fold({query}) AS folded (words)
    )
"""

# A title that is the query, with or without its article; then one that begins with it; then the rest. Within these, by
# how much of the text the words are, whole words before beginnings.
SCORE = """(
    CASE
        WHEN asked.words IN (title_key, regexp_replace(title_key, '^(the|an?) ', '')) THEN 4000000
        WHEN starts_with(title_key, asked.words) THEN 2000000
        WHEN starts_with(regexp_replace(title_key, '^(the|an?) ', ''), asked.words) THEN 2000000
        ELSE 0
    END + ((ts_rank(search, asked.wholes, 1) + ts_rank(search, asked.prefixes, 1)) * 100000)::integer
)"""

SORT_KEYS = {
    Order.RELEVANCE: SCORE,
    Order.TITLE: "title_key",
    Order.PRICE: "base_price_minor_units",
    Order.PRICE_DESCENDING: "base_price_minor_units",
    Order.NEWEST: "created_at",
}
KEY_TYPES = {Order.TITLE: "text", Order.NEWEST: "timestamptz"}
DESCENDING = {Order.RELEVANCE, Order.PRICE_DESCENDING, Order.NEWEST}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_SIZES = (21, 51, 101)


class Queries(Protocol):
    """A connection or a whole pool: what can be asked."""

    async def fetch(self, sql: str, *args: Any) -> Sequence[Mapping[str, Any]]: ...
    async def fetchrow(self, sql: str, *args: Any) -> Mapping[str, Any] | None: ...
    async def execute(self, sql: str, *args: Any) -> Any: ...


class OnSale:
    """Reads products by their ids; who asks at the same time shares a statement."""

    def __init__(self, database: Database) -> None:
        # That the ids are given twice makes the plan one that reads no more than these (decision 21).
        self._read = Together(
            database,
            f"""
            SELECT n, {COLUMNS} FROM {asked("wanted_id uuid")}
                JOIN product ON product_id = wanted_id AND product_id = ANY ($1) AND deleted_at IS NULL
            """,
            key=None,
        )

    async def __call__(self, product_ids: Sequence[str]) -> dict[str, Product]:
        """Those of the products that are on sale, by id."""
        rows = await self._read.each((product_id,) for product_id in product_ids)
        return {product.product_id: product for product in (_product(row) for row in rows if row is not None)}


class CatalogRepository:
    def __init__(self, connection: Queries) -> None:
        self._connection = connection

    async def lock(self, product_id: str) -> Product | None:
        """The product, on sale or not, held against other changes until the transaction ends."""
        row = await self._connection.fetchrow(
            f"SELECT {COLUMNS} FROM product WHERE product_id = $1 FOR UPDATE", product_id
        )
        return None if row is None else _product(row)

    async def add(self, product_id: str, seller_id: str, details: Details, now: datetime) -> Product:
        """The product as it is added, in its first version."""
        row = await self._connection.fetchrow(
            f"""
            INSERT INTO product (
                product_id, seller_id, title, description, category_ids, base_price_minor_units, release_year,
                created_at, updated_at
            ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
            RETURNING {COLUMNS}
            """,
            product_id,
            seller_id,
            *_values(details),
            now,
        )
        return _product(_one(row))

    async def change(self, product_id: str, details: Details, now: datetime) -> Product:
        """The product after the change. It must have been locked."""
        row = await self._connection.fetchrow(
            f"""
            UPDATE product SET
                title = $2, description = $3, category_ids = $4, base_price_minor_units = $5, release_year = $6,
                updated_at = $7, version = version + 1
            WHERE product_id = $1
            RETURNING {COLUMNS}
            """,
            product_id,
            *_values(details),
            now,
        )
        return _product(_one(row))

    async def take_off_sale(self, product_id: str, now: datetime) -> None:
        await self._connection.execute(
            "UPDATE product SET deleted_at = $2, updated_at = $2, version = version + 1 WHERE product_id = $1",
            product_id,
            now,
        )

    async def known_categories(self, category_ids: Sequence[str]) -> set[str]:
        rows = await self._connection.fetch(
            "SELECT category_id FROM category WHERE category_id = ANY($1::uuid[])", category_ids
        )
        return {str(row["category_id"]) for row in rows}

    async def categories(self) -> list[Category]:
        """All categories by name, each with how many products on sale are in it."""
        rows = await self._connection.fetch(
            """
            SELECT category_id, name, coalesce(products, 0) AS products
            FROM category LEFT JOIN (
                SELECT unnest(category_ids) AS category_id, count(*) AS products
                FROM product WHERE deleted_at IS NULL GROUP BY 1
            ) AS counted USING (category_id)
            ORDER BY lower(name), category_id
            """
        )
        return [Category(str(row["category_id"]), row["name"], row["products"]) for row in rows]

    async def figures(self) -> Figures:
        row = await self._connection.fetchrow(
            """
            SELECT count(*) AS products, count(DISTINCT seller_id) AS sellers,
                (SELECT count(*) FROM category) AS categories
            FROM product WHERE deleted_at IS NULL
            """
        )
        row = _one(row)
        return Figures(products=row["products"], categories=row["categories"], sellers=row["sellers"])

    async def search(self, search: Search, place: Place | None, limit: int) -> list[tuple[Product, Place]]:
        """Up to `limit` products on sale after a place in the order, each with its own place."""
        sql, args = search_statement(search, place, limit)
        rows = (await self._connection.fetch(sql, *args))[:limit]
        return [(_product(row), [_portable(row["place"]), str(row["product_id"])]) for row in rows]


def search_statement(search: Search, place: Place | None, limit: int) -> tuple[str, list[Any]]:
    """The text and the arguments of a search, which may give more rows than `limit`.

    There is one text for each set of conditions that are in use, and for each of the few sizes.
    """
    args: list[Any] = []

    def bind(value: Any) -> str:
        args.append(value)
        return f"${len(args)}"

    key = SORT_KEYS[search.order]
    direction, beyond = ("DESC", "<") if search.order in DESCENDING else ("ASC", ">")
    asked, source, where = "", "product", ["deleted_at IS NULL"]
    if search.query:
        asked, source = ASKED.format(query=f"{bind(search.query)}::text"), "asked, product"
        where.append("search @@ asked.prefixes")
    if search.category:
        name = f"lower({bind(search.category)}::text)"
        named = f"SELECT category_id FROM category WHERE lower(name) = {name} OR category_id::text = {name}"
        where.append(f"category_ids && ARRAY({named})")
    if search.seller_id:
        where.append(f"seller_id = {bind(search.seller_id)}::uuid")
    if place is not None:
        last, product_id = _comparable(search.order, place)
        kind = KEY_TYPES.get(search.order, "bigint")
        where.append(f"({key}, product_id) {beyond} ({bind(last)}::{kind}, {bind(product_id)}::uuid)")
    sql = f"""
        {asked} SELECT {COLUMNS}, {key} AS place FROM {source} WHERE {" AND ".join(where)}
        ORDER BY {key} {direction}, product_id {direction} LIMIT {_at_most(limit)}
    """
    return sql, args


def _at_most(limit: int) -> int:
    """A size that stands in the text itself: a plan is made once for all arguments, and must know how few rows it is for."""
    return next((size for size in _SIZES if limit <= size), limit)


def _portable(key: str | int | datetime) -> str | int:
    return (key - EPOCH) // MICROSECOND if isinstance(key, datetime) else key


def _comparable(order: Order, place: Place) -> tuple[str | int | datetime, str | int]:
    key, product_id = place
    if order is Order.NEWEST and isinstance(key, int):
        return EPOCH + key * MICROSECOND, product_id
    return key, product_id


def _values(details: Details) -> tuple[Any, ...]:
    return (details.title, details.description, details.category_ids, details.base_price, details.release_year)


def _one(row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if row is None:
        raise LookupError("the statement gave no row")
    return row


def _product(row: Mapping[str, Any]) -> Product:
    return Product(
        product_id=str(row["product_id"]),
        seller_id=str(row["seller_id"]),
        details=Details(
            title=row["title"],
            description=row["description"],
            category_ids=tuple(map(str, row["category_ids"])),
            base_price=row["base_price_minor_units"],
            release_year=row["release_year"],
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        deleted=row["deleted"],
        version=row["version"],
    )
