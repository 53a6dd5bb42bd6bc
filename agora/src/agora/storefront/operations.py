"""The shop's own figures and those of its processes, gathered from whoever knows them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agora_proto.catalog.v1 import catalog_pb2
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceClient
from agora_proto.orders.v1 import orders_pb2
from agora_proto.orders.v1.orders_tricorn import OrdersServiceClient
from tricorn.contract import Refusal
from tricorn.v1 import stats_pb2

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was answered; `missing` names the parts that did not."""

    processes: Sequence[stats_pb2.ProcessStats]
    catalog: catalog_pb2.CatalogFigures | None
    orders: orders_pb2.OrderFigures | None
    missing: tuple[str, ...]


class OperationsService:
    """The use cases of who runs the shop.

    Args:
        processes: gives the counters of all processes.
    """

    def __init__(
        self,
        *,
        processes: Callable[[], Awaitable[Sequence[stats_pb2.ProcessStats]]],
        catalog: CatalogServiceClient,
        orders: OrdersServiceClient,
    ) -> None:
        self._processes = processes
        self._catalog = catalog
        self._orders = orders

    async def get_stats(self) -> Gathered:
        """All figures that can be had now. A part that refuses or is late is left out and named."""
        processes, catalog, orders = await asyncio.gather(
            _or_none(self._processes()),
            _or_none(self._catalog.get_catalog_figures(catalog_pb2.GetCatalogFiguresRequest())),
            _or_none(self._orders.get_order_figures(orders_pb2.GetOrderFiguresRequest())),
        )
        parts = {"processes": processes, "catalog": catalog, "orders": orders}
        missing = tuple(name for name, part in parts.items() if part is None)
        return Gathered(processes or (), catalog, orders, missing)


async def _or_none(part: Awaitable[_T]) -> _T | None:
    try:
        return await part
    except Refusal:
        return None
