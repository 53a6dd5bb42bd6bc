"""What native parts are told of the database, and how many connections all may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tricorn.data import DataError
from tricorn.data.server import ExternalServer
from tricorn.host import load_manifest
from tricorn.supervise.databases import check_connections, database_of, part_environment

if TYPE_CHECKING:
    from pathlib import Path

    from tricorn.host import Manifest

SHOP = """
[application]
name = "shop"
title = "Shop"
package = "shop"
python_package = "shop_proto"
[contexts.goods]
package = "shop.goods"
contracts = ["shop.goods.v1.GoodsService"]
[contexts.stock]
package = "shop.stock"
contracts = ["shop.stock.v1.StockService"]
[natives.stock]
language = "go"
root = "native"
build = ["make"]
binary = "stock"
sources = ["native"]
contracts = ["shop.stock.v1.StockService"]
databases = ["stock"]
connections = 12
[natives.edge]
language = "go"
root = "native"
build = ["make"]
binary = "edge"
sources = ["native"]
gateway = true
reads = ["goods", "stock"]
[natives.sums]
language = "rust"
root = "native"
build = ["make"]
binary = "sums"
sources = ["native"]
contracts = ["shop.goods.v1.GoodsService"]
[processes.all]
contexts = ["goods", "stock"]
gateway = true
[processes.stock]
native = "stock"
[processes.edge]
native = "edge"
[shapes.native]
processes = ["stock", "all", "edge"]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Manifest:
    (tmp_path / "tricorn.toml").write_text(SHOP)
    return load_manifest(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> ExternalServer:
    return ExternalServer("postgresql://admin:secret@db:5432/shop", state_dir=tmp_path)


def test_a_part_gets_the_runtime_roles_of_its_databases_and_no_other(shop: Manifest, server: ExternalServer) -> None:
    told = part_environment(shop, "stock", server, "shop")

    assert set(told) == {"TRICORN_DATABASE_STOCK", "TRICORN_DATABASE_CONNECTIONS"}
    assert told["TRICORN_DATABASE_STOCK"].startswith("postgresql://shop_stock_runtime:")
    assert told["TRICORN_DATABASE_CONNECTIONS"] == "12"


def test_one_that_reads_what_is_published_gets_a_role_of_its_own(shop: Manifest, server: ExternalServer) -> None:
    told = part_environment(shop, "edge", server, "shop")

    assert told["TRICORN_DATABASE_PUBLISHED"].startswith("postgresql://shop_edge_viewer:")
    assert told["TRICORN_DATABASE_CONNECTIONS"] == "16"


def test_one_without_a_database_is_told_of_none(shop: Manifest, server: ExternalServer) -> None:
    assert part_environment(shop, "sums", server, "shop") == {}


def test_what_all_may_hold_is_counted_before_anything_starts(shop: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("TRICORN_DATABASE_CONNECTIONS", "96")
    check_connections(shop, ["stock", "all", "edge"])  # 96, 12, and twice 16: the 140 that there are
    monkeypatch.setenv("TRICORN_DATABASE_CONNECTIONS", "97")

    with pytest.raises(DataError, match="the processes ask for 141 connections, and PostgreSQL has 140") as caught:
        check_connections(shop, ["stock", "all", "edge"])

    assert caught.value.where == "all 97, edge 32, stock 12"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("", "shop"),
        ("postgresql://u:p@h/films", "films"),
        ("postgresql://u:p@h/films?ssl=1", "films"),
        ("postgresql://h", "shop"),
    ],
)
def test_the_database_is_the_one_that_the_address_names(shop: Manifest, url: str, name: str) -> None:
    assert database_of(shop, url) == name
