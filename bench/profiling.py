"""Where the Python of the shop spends its time: a cProfile of its process, by room of the platform and by context.

What C code takes (protobuf, asyncpg's protocol, JSON) is counted to the room that called it.
"""

import pstats
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import load
import uvloop
from scenarios import Scenarios
from shop import Shop

CONNECTIONS = 8
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


def profile(scenario: str, environment: dict[str, str], seconds: float) -> dict[str, Any]:
    """Loads a profiled shop with a scenario; the share of each room in per cent, and the functions that took most."""
    with tempfile.TemporaryDirectory(prefix="tricorn-profile-") as folder:
        shop = Shop(
            Path(folder) / "home", "--shape", "python", environment={**environment, "TRICORN_PROFILE_FOLDER": folder}
        ).up()
        try:
            at = urlsplit(shop.url)
            make = Scenarios(shop).get(scenario)
            done = uvloop.run(
                load.closed_loop(at.hostname or "", at.port or 80, make, connections=CONNECTIONS, seconds=seconds)
            )
        finally:
            shop.down()
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
        "requests": done.requests,
        "percent": {room: round(100 * own / total, 1) for room, own in spent.most_common()},
        "seconds_by_function": {name: round(own, 3) for name, own in single.most_common(25)},
    }


def _room(function: _Function) -> str:
    return next((name for part, name in ROOMS if part in function[0]), "")
