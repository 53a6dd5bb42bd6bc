"""Reservations: the inventory contract through gRPC against the two usual ways to take stock in PostgreSQL, and the real order path."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import client
import machine
from beside import Side, bound, shape, try_native, where
from client import FRESH_KEY, Class
from commits import lone_commit_ms, slow_down
from google.protobuf.duration_pb2 import Duration
from plans import PRODUCTS, Plans
from rivals.fill import database_url

from agora_proto.inventory.v1 import inventory_pb2 as pb

CALLERS = 64
ROUNDS = 3
WAYS = ("for-update", "conditional")
CONTRACT = "agora.inventory.v1.InventoryService"
_METHOD = f"/{CONTRACT}/Reserve"
_DATABASE = "rival_stock"
_UNITS = 100_000_000
_HOLD = 3600
_WARM_UP = 1.0
_WARM_AGAIN = 0.3
SLOWER = (1000, 4000)
"""Microseconds by which commits are slowed down for further tables: a common disk in a cloud, and a slow one."""
_HOT, _SPREAD = "one product", f"{PRODUCTS:,} products"
_CLIENT = {"GOMAXPROCS": "1"}
"""Of a client by gRPC: goroutines that wake each other take a fifth less CPU on one processor. The rivals' are as quick or quicker on all."""
POOLS = {_HOT: 4, _SPREAD: 32}
"""Database connections of each rival, those with which it was fastest of 4, 8, 16, 32 and 64: on a hot row, each more waits in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to take a unit; `ask` loads it for so many seconds with a plan. ``process`` is None where the client speaks to PostgreSQL itself."""

    name: str
    plans: Mapping[str, Path]
    ask: Callable[[Path, float], dict[str, Any]]
    postgres: int
    process: int | None = None


def measure(seconds: float) -> dict[str, Any]:
    """Each way with one hot product and with many, in turns in one run; then whole orders of one product."""
    client.program()
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        side = try_native(stack) or stack.enter_context(shape("python"))
        sides = [side] if side.name == "python" else [side, stack.enter_context(shape("python"))]
        ways = [*(_through_grpc(each, folder) for each in sides), *_usual(side, folder)]
        found: dict[str, Any] = {
            "inventory": bound(side)["inventory"],
            "fsync": _fsync(side),
            "cores": os.cpu_count(),
            "tables": [_table(ways, side, 0, seconds)],
        }
        # Python's shape has a server of its own, whose commits stay as they are.
        ways = [way for way in ways if way.postgres == side.postgres]
        for slower in SLOWER:
            asyncio.run(slow_down(side.database, slower))
            found["tables"].append(_table(ways, side, slower, seconds))
        asyncio.run(slow_down(side.database, 0))
        found["orders"] = {each.name: _orders(each, folder, seconds) for each in sides}
        return found


def _table(ways: Sequence[Way], side: Side, slower: int, seconds: float) -> dict[str, Any]:
    """What each way can on that side's server, whose commits are so many microseconds slower."""
    alone = asyncio.run(lone_commit_ms(side.database))
    loads = {}
    for load in (_HOT, _SPREAD):
        for way in ways:
            way.ask(way.plans[load], _WARM_AGAIN if slower else _WARM_UP)
        windows: dict[str, list[dict[str, float]]] = {way.name: [] for way in ways}
        for number in range(ROUNDS):
            start = number % len(ways)
            for way in (*ways[start:], *ways[:start]):
                windows[way.name].append(_window(way, load, seconds / ROUNDS))
        loads[load] = {way: _middle(each) for way, each in windows.items()}
    return {"slowerMs": slower / 1000, "commitMs": alone, "loads": loads}


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    said = []
    if found["inventory"] == "python":
        said.append("LEFT OUT, inventory in Go: no Go process is bound, so what follows is Python's.")
    said.append(
        f"Reservations, {CALLERS} callers, fsync and synchronous_commit on; one fsync of 8 KiB takes"
        f" {found['fsync']['p50Ms']:.2f} ms (P95 {found['fsync']['p95Ms']:.2f})"
    )
    said.append(
        "CPU is us of one reservation: what answers, PostgreSQL and the client, which share the cores; most/s is what they leave room for."
    )
    for table in found["tables"]:
        said.append(_heading(table))
        for load, ways in table["loads"].items():
            said.append(
                f"{load:18}{'x for-update':>13}{'x conditional':>14}{'each/s':>8}{'P50 ms':>8}{'P99 ms':>8}"
                f"{'CPU':>6} ={'process':>8} +{'postgres':>9} +{'client':>7}{'most/s':>8}{'failed':>7}"
            )
            for way, each in ways.items():
                ratios = "".join(
                    f"{each['rate'] / max(ways[base]['rate'], 1e-9):{width}.1f}"
                    for base, width in (("for-update", 13), ("conditional", 14))
                )
                said.append(
                    f"  {way:16}{ratios}{each['rate']:8.0f}{each['p50']:8.2f}{each['p99']:8.2f}"
                    f"{_cpu(each):6.0f} ={each['process_us']:8.0f} +{each['postgres_us']:9.0f} +{each['client_us']:7.0f}"
                    f"{found['cores'] * 1e6 / max(_cpu(each), 1e-9):8.0f}{each['failures']:7.0f}"
                )
    for side, each in found["orders"].items():
        said.append(
            f"Whole orders of one product, {side}: {each['perSecond']:.0f}/s, P50 {each['p50Ms']:.1f} ms, P99 {each['p99Ms']:.1f} ms,"
            f" {each['failures']} failed"
        )
    return said


def _heading(table: dict[str, Any]) -> str:
    whose = f"Commits {table['slowerMs']:g} ms slower, for all of them" if table["slowerMs"] else "This disk"
    return f"{whose}: one commit by itself takes {table['commitMs']:.2f} ms"


def _through_grpc(side: Side, folder: Path) -> Way:
    """The process that answers for inventory in that shape."""
    who = bound(side)["inventory"]
    address, process = where(side, CONTRACT, who)

    def ask(plan: Path, seconds: float) -> dict[str, Any]:
        # One connection, as a process of ours has.
        options: dict[str, Any] = {"plan": plan, "callers": CALLERS, "seconds": seconds, "connections": 1}
        return client.ask("grpc", environment=_CLIENT, address=address, method=_METHOD, **options)

    def plan(name: str, products: Sequence[str]) -> Path:
        requests = [_reserve(product) for product in products]
        return client.write_plan(folder / f"{side.name}-{name}.json", [Class("reserve", 1, requests)])

    plans = {_HOT: plan("hot", side.known.products[:1]), _SPREAD: plan("spread", side.known.products)}
    return Way(f"{who} by gRPC", plans, ask, side.postgres, side.roots()[process])


def _usual(side: Side, folder: Path) -> list[Way]:
    """On the same server, in a table with nothing else to keep right: no warehouses, no keys, nothing that expires."""
    url = database_url(side.database, _DATABASE)
    asyncio.run(_make_stock(side.database, url, side.known.products))
    plans = {
        name: client.write_plan(
            folder / f"usual-{len(products)}.json", [Class("take", 1, [each.encode() for each in products])]
        )
        for name, products in ((_HOT, side.known.products[:1]), (_SPREAD, side.known.products))
    }
    pools = {plans[load]: connections for load, connections in POOLS.items()}

    def way(name: str) -> Way:
        def ask(plan: Path, seconds: float) -> dict[str, Any]:
            options: dict[str, Any] = {"callers": CALLERS, "seconds": seconds, "connections": pools[plan]}
            return client.ask("stock", environment={"BENCH_DATABASE": url}, way=name, plan=plan, **options)

        return Way(name, plans, ask, side.postgres)

    return [way(name) for name in WAYS]


def _window(way: Way, load: str, seconds: float) -> dict[str, float]:
    pids = {"postgres_us": way.postgres, "process_us": way.process}
    before = {part: machine.cpu_seconds(pid) for part, pid in pids.items() if pid}
    report = way.ask(way.plans[load], seconds)
    spent = {part: machine.cpu_seconds(pids[part] or 0) - used for part, used in before.items()}
    spent["client_us"] = report["clientCpuSeconds"]
    answered = max(report["requests"] - report["failures"], 1)
    return {
        "rate": report["perSecond"], "p50": report["p50Ms"], "p99": report["p99Ms"], "failures": report["failures"],
        "process_us": 0.0, **{part: 1e6 * seconds / answered for part, seconds in spent.items()},
    }  # fmt: skip


def _cpu(each: Mapping[str, float]) -> float:
    return each["process_us"] + each["postgres_us"] + each["client_us"]


def _orders(side: Side, folder: Path, seconds: float) -> dict[str, Any]:
    plan = side.plan("hot order", folder, Plans(side.known))
    options: dict[str, Any] = {"address": side.address, "plan": plan, "callers": CALLERS}
    client.ask("http", seconds=_WARM_UP, **options)
    found = client.ask("http", seconds=seconds / ROUNDS, seed=time.time_ns() % 2**31, **options)
    return {key: found[key] for key in ("perSecond", "p50Ms", "p95Ms", "p99Ms", "failures", "statuses")}


def _fsync(side: Side) -> dict[str, Any]:
    home = side.shop.home if side.shop else Path()
    return client.ask("fsync", folder=home)


def _reserve(product: str) -> bytes:
    line = pb.StockLine(product_id=product, quantity=1)
    return pb.ReserveRequest(key=FRESH_KEY, lines=[line], hold=Duration(seconds=_HOLD)).SerializeToString()


def _middle(windows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in windows) for key in windows[0]} | {
        "failures": sum(each["failures"] for each in windows)
    }


async def _make_stock(agora: str, url: str, products: Sequence[str]) -> None:
    source: Any = await asyncpg.connect(agora, timeout=10)
    try:
        await source.execute(f'DROP DATABASE IF EXISTS "{_DATABASE}" WITH (FORCE)')
        await source.execute(f'CREATE DATABASE "{_DATABASE}"')
    finally:
        await source.close()
    target: Any = await asyncpg.connect(url, timeout=10)
    try:
        await target.execute(
            "CREATE TABLE reserved_stock (product_id uuid PRIMARY KEY, available integer NOT NULL CHECK (available >= 0))"
            " WITH (fillfactor = 50)"
        )
        await target.executemany(
            "INSERT INTO reserved_stock VALUES ($1, $2)", [(product, _UNITS) for product in products]
        )
    finally:
        await target.close()
