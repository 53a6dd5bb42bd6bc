"""How long a cutover's steps and the way back take: pricing is moved to Rust and rolled back, again and again, while quotes go on."""

import statistics
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import load
import uvloop
from beside import started
from scenarios import Scenarios
from shadow import CONTRACT, TARGET, wait_for_rust
from shop import Shop

from tricorn.prove.ledger import Entry, Ledger
from tricorn.supervise.control import ControlClient
from tricorn.supervise.home import Home
from tricorn.supervise.reports import wait_until_held

STEPS = "5,25,50,100"
CALLS = 100
ROUNDS = 5
SHARE_OF_THE_MOST = 0.3
_HELD_SECONDS = 5.0
_LONGEST_SECONDS = 600.0


def measure(seconds: float) -> dict[str, Any]:
    """One cutover by steps under quotes at a fixed rate, then ``ROUNDS`` rollbacks from all calls in Rust."""
    with started("grow") as shop:
        wait_for_rust(shop)
        return _measure(shop, Scenarios(shop).get("quote"), seconds)


def _measure(shop: Shop, quote: load.Request, seconds: float) -> dict[str, Any]:
    home = ("--home", str(shop.home))
    shop.command("bind", f"{TARGET}=python", *home)
    rehearsed = shop.command("rehearse", TARGET, *home).stdout.strip()
    at = urlsplit(shop.url)
    where = (at.hostname or "127.0.0.1", at.port or 80)
    most = uvloop.run(load.closed_loop(*where, quote, connections=8, seconds=seconds / 2))
    rate = most.rate * SHARE_OF_THE_MOST
    over = threading.Event()
    results: list[load.Result] = []

    def calls() -> None:
        while not over.is_set():
            results.append(uvloop.run(load.open_loop(*where, quote, rate=rate, seconds=1.0)))

    caller = threading.Thread(target=calls)
    caller.start()
    try:
        began = time.monotonic()
        moved = ("--to", "rust", "--steps", STEPS, "--calls", str(CALLS), "--watch", "2s")
        done = shop.command("cutover", TARGET, *moved, *home, timeout=_LONGEST_SECONDS, check=False)
        took = time.monotonic() - began
        shop.command("bind", f"{TARGET}=rust", *home)
        back = [_rolled_back(shop) for _ in range(ROUNDS)]
    finally:
        over.set()
        caller.join()
    return {
        "rate": round(rate, 1),
        "requests": sum(result.requests for result in results),
        "failures": sum(result.failures for result in results),
        "rehearsed": rehearsed,
        "ended": (done.stdout.strip() or done.stderr.strip()).splitlines()[-1].strip(),
        "calls_a_step": CALLS,
        "seconds": took,
        "steps": _steps(Ledger(Path(shop.home)).entries(CONTRACT)),
        "rollback_command_seconds": [command for command, _ in back],
        "rollback_held_seconds": [held for _, held in back],
    }


def _rolled_back(shop: Shop) -> tuple[float, float]:
    """Seconds that the command takes, and that the change alone takes until every process goes by it; then all calls are in Rust again."""
    home = ("--home", str(shop.home))
    began = time.monotonic()
    shop.command("rollback", TARGET, *home)
    command = time.monotonic() - began
    shop.command("bind", f"{TARGET}=rust", *home)
    client = ControlClient(Home(shop.home))
    began = time.monotonic()
    answer = client.call("rollback", target=CONTRACT, by="bench")
    wait_until_held(shop.home, answer["generation"], _HELD_SECONDS)
    held = time.monotonic() - began
    shop.command("bind", f"{TARGET}=rust", *home)
    return command, held


def _steps(entries: Sequence[Entry]) -> dict[str, float]:
    """Seconds that each step of the last cutover took, by its share in per cent: the ledger enters a step as it begins."""
    begun = max((number for number, entry in enumerate(entries) if entry.event == "begun"), default=len(entries))
    return {
        f"{entry.facts['share'] / 100:g} %": (
            datetime.fromisoformat(after.time) - datetime.fromisoformat(entry.time)
        ).total_seconds()
        for entry, after in pairwise(entries[begun:])
        if "share" in entry.facts and entry.event != "watching"
    }


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    steps = ", ".join(f"{share}: {seconds:.1f} s" for share, seconds in found["steps"].items())
    command, held = (statistics.median(found[f"rollback_{name}_seconds"]) for name in ("command", "held"))
    return [
        f"cutover of {TARGET}, {found['rate']:g} quotes/s, {found['requests']:,} of them, {found['failures']} failed",
        f"  {found['seconds']:.1f} s in all; steps of {found['calls_a_step']} calls: {steps}",
        f"  rollback  {command:.2f} s as a command, {held:.2f} s until every process goes by it (medians of {ROUNDS})",
        f"  the last of it: {found['ended']}",
        f"  rehearsed before: {found['rehearsed']}",
    ]
