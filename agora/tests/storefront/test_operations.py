"""The shop's figures, with and without the parts that know them."""

from pathlib import Path
from typing import Any

from agora_proto.catalog.v1 import catalog_pb2
from agora_proto.catalog.v1.catalog_tricorn import CatalogServiceBase
from agora_proto.orders.v1 import orders_pb2
from agora_proto.orders.v1.orders_tricorn import OrdersServiceBase
from agora_proto.storefront.v1 import storefront_pb2 as pb
from agora_proto.storefront.v1.storefront_tricorn import OperationsServiceClient
from agora_proto.v1.money_pb2 import Money
from tricorn.contract import Refusal
from tricorn.data import EmbeddedPostgres
from tricorn.host.testing import TestApp, running
from tricorn.wire import Call, Identity

APPLICATION = Path(__file__).parents[2] / "tricorn.toml"
STAFF = Identity("cccccccc-0000-4000-8000-000000000003", "s3", frozenset({"staff"}))


def _only(base: type, **answers: Any) -> Any:
    """An implementation of a contract that knows these methods and refuses the others."""

    def method(name: str) -> Any:
        async def answer(_self: object, _request: object, _call: Call) -> Any:
            if name not in answers:
                raise Refusal("UNAVAILABLE", "not now")
            return answers[name]

        return answer

    return type(f"Some{base.__name__}", (base,), {name: method(name) for name in base.__abstractmethods__})()  # type: ignore[attr-defined]


async def test_figures_come_from_whoever_knows_them(postgres: EmbeddedPostgres) -> None:
    revenue = Money(currency="USD", minor_units=1234)
    fakes = [
        _only(CatalogServiceBase, get_catalog_figures=catalog_pb2.CatalogFigures(products=3, categories=2, sellers=1)),
        _only(
            OrdersServiceBase, get_order_figures=orders_pb2.OrderFigures(orders=5, confirmed_orders=4, revenue=revenue)
        ),
    ]
    async with running(postgres, APPLICATION, ["storefront"], fakes=fakes) as app:
        operations = app.client(OperationsServiceClient, user=STAFF)
        await operations.get_stats(pb.GetStatsRequest())
        stats = await operations.get_stats(pb.GetStatsRequest())

    assert stats.shop == pb.ShopFigures(
        products=3, categories=2, sellers=1, orders=5, confirmed_orders=4, revenue=revenue
    )
    assert list(stats.missing) == []
    called = {figures.name: figures for figures in stats.services}
    assert called["agora.orders.v1.OrdersService"].calls == 1
    assert called["agora.orders.v1.OrdersService"].implementation == "python"
    assert list(called) == sorted(called)


async def test_a_part_that_does_not_answer_is_named_and_its_figures_are_absent(app: TestApp) -> None:
    stats = await app.client(OperationsServiceClient, user=STAFF).get_stats(pb.GetStatsRequest())

    assert list(stats.missing) == ["orders"]
    assert (stats.shop.HasField("products"), stats.shop.products) == (True, 0)
    assert not stats.shop.HasField("orders")
    assert not stats.shop.HasField("revenue")
