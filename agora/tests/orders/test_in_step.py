"""Orders that come together go through their steps together."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from market import FEW, MANY, SETTLED, Market, order

from agora_proto.orders.v1 import orders_pb2 as orders
from tricorn.contract import Refusal
from tricorn.data import Database, Together


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Database, str]]:
    """The statements that callers share, with where they run; to be asked for before the market is there."""
    found: list[tuple[Database, str]] = []
    made = Together.__init__

    def make(self: Together, database: Database, statement: str, **options: Any) -> None:
        found.append((database, statement))
        made(self, database, statement, **options)

    monkeypatch.setattr(Together, "__init__", make)
    return found


async def test_each_of_many_orders_at_once_ends_as_it_would_alone(market: Market) -> None:
    asked = [
        *(order(((MANY, 1),)) for _ in range(12)),
        order(method="test_declined"),
        order(((FEW, 4),), key="twice"),
        order(((FEW, 4),), key="twice"),
    ]

    answers = await asyncio.gather(*map(market.orders.create_order, asked), return_exceptions=True)

    *placed, declined, first, second = answers
    assert all(isinstance(each, orders.Order) for each in placed)
    assert isinstance(declined, Refusal)
    assert declined.reason == "PAYMENT_DECLINED"
    assert isinstance(first, orders.Order)
    assert isinstance(second, orders.Order)
    assert first.order_id == second.order_id
    ends = [await market.settled(each.order_id) for each in (*placed, first) if isinstance(each, orders.Order)]
    assert {end.state for end in ends} == {orders.Order.STATE_COMPLETED} <= SETTLED
    assert await market.stock(MANY) == (88, 0, 12)
    assert await market.stock(FEW) == (1, 0, 4)
    assert await market.announced() == 13
    assert await market.books_balance()


async def test_no_shared_statement_reads_more_than_what_is_asked_for_however_small_the_tables_were_when_it_was_planned(
    shared: list[tuple[Database, str]], market: Market
) -> None:
    for _ in range(3):
        await market.settled((await market.orders.create_order(order())).order_id)
    await market.app.admin.execute("ANALYZE")
    statements = dict.fromkeys(shared)
    assert len(statements) > 10

    whole = [f"{scan} in {sql}" for database, sql in statements for scan in _read_whole(_plan(database, sql))]

    assert whole == []


def _plan(database: Database, statement: str) -> dict[str, Any]:
    with psycopg.connect(database.url, autocommit=True, connect_timeout=10) as connection:
        (found,) = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}").fetchone() or (None,)
    plan = json.loads(found) if isinstance(found, str) else found
    return dict(plan[0]["Plan"])


def _read_whole(node: dict[str, Any]) -> Iterator[str]:
    if (
        "Relation Name" in node
        and node["Node Type"].endswith("Scan")
        and "Index Cond" not in node
        and "Recheck Cond" not in node
    ):
        yield f"{node['Node Type']} of {node['Relation Name']}"
    for child in node.get("Plans", ()):
        yield from _read_whole(child)
