"""Where the CPU of an order goes in both shapes, and where the Python of the shop spends its time in the mix.

A process is split by a cProfile of its Python, by room of the platform and by context; what C code takes (protobuf,
asyncpg's protocol, JSON) is counted to the room that called it. The profile says how the time is shared out, not how much it
is: profiling makes all of it slower. PostgreSQL is split by whose connection it served.
"""

import pstats
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import client
import machine
from beside import Side, shape, window
from plans import Plans

CONNECTIONS = 16
SHAPES = ("python", "native")
_WARM_UP = 2.0
_LEAST_SHOWN_MS = 0.005
_BACKENDS = (
    "SELECT pid, coalesce(nullif(application_name, ''), backend_type) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid()"
)
_COUNTERS = """
SELECT (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()),
    pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')
"""
_POSTGRES = "postgres"
_SHOP = "shop"
ROOMS = (
    ("tricorn/gateway/", "gateway"),
    ("tricorn/wire/", "wire"),
    ("tricorn/contract/", "contract: validation, policies"),
    ("tricorn/events/", "events"),
    ("tricorn/data/", "data"),
    ("tricorn/telemetry/", "telemetry"),
    ("/src/tricorn/", "platform, the rest"),
    ("agora/accounts/", "accounts"),
    ("agora/catalog/", "catalog"),
    ("agora/inventory/", "inventory"),
    ("agora/pricing/", "pricing"),
    ("agora/storefront/", "storefront"),
    ("agora/orders/", "orders"),
    ("agora/payments/", "payments"),
    ("/asyncpg/", "asyncpg"),
    ("asyncpg/", "asyncpg"),
    ("/uvicorn/", "uvicorn"),
    ("/asyncio/", "asyncio"),
    ("/google/protobuf/", "protobuf"),
    ("/django/", "django"),
)

_Function = tuple[str, int, str]


def measure(seconds: float) -> dict[str, Any]:
    """Orders in both shapes, each once as they are and once profiled; then the mix in the Python shape, profiled."""
    client.program()
    return {
        "orders": {name: _orders(name, seconds) for name in SHAPES},
        "mix": _profiled("python", "mix", seconds),
    }


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    orders = found["orders"]
    names = dict.fromkeys(part for each in orders.values() for part in each["parts"])
    said = [
        "Where the CPU of one order goes, ms:",
        f"  {'':38}" + "".join(f"{name:>10}" for name in orders),
        f"  {'all of it':38}" + "".join(f"{each['cpu_ms']:10.2f}" for each in orders.values()),
    ]
    said += [
        f"  {part:38}" + "".join(f"{each['parts'].get(part, 0.0):10.3f}" for each in orders.values()) for part in names
    ]
    for title, key in (("orders/s", "per_second"), ("commits an order", "commits"), ("KiB of WAL an order", "wal_kib")):
        said.append(f"  {title:38}" + "".join(f"{each[key]:10.1f}" for each in orders.values()))
    said += ["", "Where the shop's own time goes in the mix of the Python shape, in per cent:"]
    return said + [f"  {share:5.1f}  {room}" for room, share in found["mix"]["percent"].items()]


def _orders(name: str, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder, shape(name) as side:
        plan = side.plan("order", Path(folder), Plans(side.known))
        window(side, plan, callers=CONNECTIONS, seconds=_WARM_UP)
        backends = _backends(side)
        spent, (commits, wal) = machine.backend_seconds(backends), _counters(side)
        done = window(side, plan, callers=CONNECTIONS, seconds=seconds)
        placed = max(done.report["requests"] - done.report["failures"], 1)
        after, (commits_after, wal_after) = machine.backend_seconds(backends), _counters(side)
    by_backend = {part: 1000 * (after[part] - spent.get(part, 0.0)) / placed for part in after}
    rooms = _profiled(name, "order", seconds)
    return {
        "cpu_ms": done.cpu_ms,
        "cpu_ms_by_process": dict(done.cpu),
        "cpu_ms_by_backend": by_backend,
        "rooms": rooms,
        "parts": _parts(done.cpu, by_backend, rooms["percent"]),
        "per_second": done.rate,
        "failures": done.report["failures"],
        "commits": (commits_after - commits) / placed,
        "wal_kib": (wal_after - wal) / 1024 / placed,
    }


def _parts(
    by_process: Mapping[str, float], by_backend: Mapping[str, float], percent: Mapping[str, float]
) -> dict[str, float]:
    """Each process; below the shop its rooms, below PostgreSQL whose connections it served."""
    parts: dict[str, float] = {}
    for name, spent in sorted(by_process.items(), key=lambda part: -part[1]):
        parts[name] = spent
        if name == _SHOP:
            parts |= {f"  shop: {room}": spent * share / 100 for room, share in percent.items()}
        if name == _POSTGRES:
            parts |= {f"  postgres: {who}": each for who, each in sorted(by_backend.items(), key=lambda part: -part[1])}
    return {part: round(spent, 3) for part, spent in parts.items() if spent >= _LEAST_SHOWN_MS}


def _backends(side: Side) -> dict[int, str]:
    """PostgreSQL's own processes: for a connection the context that it belongs to."""
    rows = [line.split("|") for line in side.sql(_BACKENDS).splitlines()]
    return {int(pid): name.removeprefix("agora-") for pid, name in rows}


def _counters(side: Side) -> tuple[float, float]:
    """Commits and bytes of WAL so far."""
    commits, wal = side.sql(_COUNTERS).split("|")
    return float(commits), float(wal)


def _profiled(name: str, load: str, seconds: float) -> dict[str, Any]:
    """Loads a profiled shop; the share of each room in per cent, and the functions that took most."""
    with tempfile.TemporaryDirectory(prefix="tricorn-profile-") as folder:
        with shape(name, TRICORN_PROFILE_FOLDER=folder) as side:
            plan = side.plan(load, Path(folder), Plans(side.known))
            done = window(side, plan, callers=CONNECTIONS, seconds=seconds)
        stats: dict[_Function, Any] = pstats.Stats(str(Path(folder) / "shop.prof")).stats  # type: ignore[attr-defined]
    spent: Counter[str] = Counter()
    single: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in stats.items():
        if _room(function) or not callers:
            spent[_room(function) or "other"] += own
            single[f"{Path(function[0]).name}:{function[2]}"] += own
        else:
            for caller, (_, _, own_here, _) in callers.items():
                spent[_room(caller) or "other"] += own_here
    total = sum(spent.values())
    return {
        "requests": done.report["requests"],
        "percent": {room: round(100 * own / total, 1) for room, own in spent.most_common()},
        "seconds_by_function": {name: round(own, 3) for name, own in single.most_common(25)},
    }


def _room(function: _Function) -> str:
    return next((name for part, name in ROOMS if part in function[0]), "")
