"""What the catalogue can do."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from agora.catalog import domain, events
from agora.catalog.domain import Category, Details, Figures, Found, Place, Product, Search
from agora.catalog.repository import CatalogRepository, OnSale
from tricorn.data import uuid7
from tricorn.events import Begin


class CatalogService:
    """The use cases.

    Args:
        begin: opens a unit of work.
        on_sale: reads products.
        reads: for what needs no transaction.
        now: the time, in UTC.
    """

    def __init__(
        self,
        *,
        begin: Begin[CatalogRepository],
        on_sale: OnSale,
        reads: CatalogRepository,
        now: Callable[[], datetime],
    ) -> None:
        self._begin = begin
        self._on_sale = on_sale
        self._reads = reads
        self._now = now

    async def list_categories(self) -> list[Category]:
        """All categories by name."""
        return await self._reads.categories()

    async def get_figures(self) -> Figures:
        return await self._reads.figures()

    async def get_products(self, product_ids: Sequence[str]) -> list[Product]:
        """Those that are on sale, in the order asked for."""
        found = await self._on_sale(product_ids)
        return [found[product_id] for product_id in product_ids if product_id in found]

    async def search(self, search: Search, position: Place | None, page_size: int) -> Found:
        """One page of what is on sale.

        A product that was there when the first page was read, and did not change since, is on exactly one page.
        """
        size = page_size or domain.DEFAULT_PAGE_SIZE
        rows = await self._reads.search(search, domain.place_in(search.order, position), size + 1)
        page = rows[:size]
        return Found(tuple(product for product, _ in page), page[-1][1] if len(rows) > size else None)

    async def create_product(self, seller_id: str, details: Details) -> Product:
        """Puts a product on sale."""
        details = domain.tidy(details)
        async with self._begin() as work:
            domain.check_categories(details.category_ids, await work.repository.known_categories(details.category_ids))
            product = await work.repository.add(uuid7(), seller_id, details, self._now())
            await work.publish(events.created(product), subject=product.product_id)
        return product

    async def update_product(self, seller_id: str, product_id: str, wanted: Mapping[str, Any], etag: str) -> Product:
        """Changes some details of a seller's own product. What alters nothing makes no new version and no event."""
        async with self._begin() as work:
            product = domain.own(await work.repository.lock(product_id), seller_id, product_id)
            if product.deleted:
                raise domain.not_found(product_id)
            details, differing = domain.changed(product, wanted)
            if not domain.matches(product, etag):
                if domain.was_made(product, etag, differing):
                    return product
                raise domain.stale(product)
            if not differing:
                return product
            if "category_ids" in differing:
                known = await work.repository.known_categories(details.category_ids)
                domain.check_categories(details.category_ids, known, path="product.")
            product = await work.repository.change(product_id, details, self._now())
            await work.publish(events.updated(product, differing), subject=product_id)
        return product

    async def delete_product(self, seller_id: str, product_id: str, etag: str) -> None:
        """Takes a seller's own product off sale; doing it twice is doing it once."""
        async with self._begin() as work:
            product = domain.own(await work.repository.lock(product_id), seller_id, product_id)
            if product.deleted:
                return
            if not domain.matches(product, etag):
                raise domain.stale(product)
            await work.repository.take_off_sale(product_id, self._now())
            await work.publish(events.deleted(product), subject=product_id)
