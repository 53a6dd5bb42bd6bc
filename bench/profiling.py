"""Where the Python of the shop spends its time in the mix: a cProfile of its process, by room of the platform and by context.

What C code takes (protobuf, asyncpg's protocol, JSON) is counted to the room that called it.
"""

import asyncio
import pstats
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import load
from scenarios import Scenarios
from shop import Shop

SECONDS = 8.0
CONNECTIONS = 8
ROOMS = (
    ("tricorn/gateway/", "gateway"),
    ("tricorn/wire/", "wire"),
    ("tricorn/contract/", "contract: validation, policies"),
    ("tricorn/events/", "events"),
    ("tricorn/data/", "data"),
    ("tricorn/telemetry/", "telemetry"),
    ("tricorn/", "platform, the rest"),
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


def profile_mix(say: Callable[[str], None]) -> dict[str, Any]:
    """Loads a profiled shop with the mix; the share of each room, and the functions that took most."""
    with tempfile.TemporaryDirectory(prefix="tricorn-profile-") as folder:
        environment = {"TRICORN_RATE_FACTOR": "1000", "TRICORN_PROFILE_FOLDER": folder}
        shop = Shop(Path(folder) / "home", environment=environment).up()
        try:
            at = urlsplit(shop.url)
            make = Scenarios(shop).get("mix")
            done = asyncio.run(
                load.closed_loop(at.hostname or "", at.port or 80, make, connections=CONNECTIONS, seconds=SECONDS)
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
    shares = {room: round(100 * seconds / total, 1) for room, seconds in spent.most_common()}
    say(f"profile of {done.requests} requests of the mix, per cent of the shop's Python time:")
    for room, share in shares.items():
        say(f"  {share:5.1f}  {room}")
    return {
        "requests": done.requests,
        "percent": shares,
        "functions": {name: round(t, 3) for name, t in single.most_common(25)},
    }


def _room(function: _Function) -> str:
    return next((name for part, name in ROOMS if part in function[0]), "")
