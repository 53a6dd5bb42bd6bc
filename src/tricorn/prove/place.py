"""Where a target stands on its way from Python to another implementation, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tricorn.prove.errors import ProveError
from tricorn.prove.ledger import Entry, Ledger


def place(home: Path, target: str) -> str:
    """What the ledger last says of a target (``package.Service`` or ``package.Service/Method``); empty when it says nothing.

    Never raises: a ledger that was tampered with is said so.
    """
    try:
        entries = Ledger(home).entries(target)
    except (ProveError, OSError):
        return "the ledger cannot be believed: see `tricorn cutover --history`"
    return next((said for entry in reversed(entries) if (said := _standing(entry))), "")


def _standing(entry: Entry) -> str:
    facts, at = entry.facts, when(entry.time)
    language = facts.get("language", "")
    share = percent(int(facts.get("share", 0)))
    back = f"went back to python from {share} of {language}, {at}: {facts.get('why', '')}"
    said = {
        "begun": f"cutover to {language} since {at}: looking at python first",
        "step": f"cutover to {language}: {share} of the calls since {at}",
        "watching": f"all calls to {language} since {at}, still watched",
        "done": f"cut over to {language}, {at}",
        "breach": back,
        "went back": back,
        "left": f"{entry.by} ended a cutover to {language} at {share}, {at}",
    }
    return said.get(entry.event, "")


def describe(entry: Entry) -> str:
    """An entry as a line for people."""
    facts = entry.facts
    words = [f"{entry.number:>4}  {when(entry.time)}  {entry.event:<10}", entry.target, f"by {entry.by}"]
    if "from" in facts and "to" in facts:
        words.append(f"{_shares(facts['from'])} -> {_shares(facts['to'])}")
    if facts.get("evidence"):
        words.append(f"evidence {str(facts['evidence'])[:12]}")
    if facts.get("why"):
        words.append(str(facts["why"]))
    if facts.get("unseen"):
        words.append(f"never asked for {', '.join(facts['unseen'])}")
    for method, seen in dict(facts.get("figures", {})).items():
        words.append(f"[{method}: {figures_of(seen)}]")
    return "  ".join(words)


def percent(points: int) -> str:
    """Basis points as people read them."""
    return f"{points / 100:g} %"


def when(time: str) -> str:
    """A time of the ledger as people read it, in UTC."""
    try:
        return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M:%S}"
    except ValueError:
        return time


def _shares(said: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {percent(int(share))}" for name, share in said.items()) or "python"


def figures_of(seen: Mapping[str, Any]) -> str:
    """What was seen of a method in a step, as people read it."""
    calls = ", ".join(f"{name} {count}" for name, count in dict(seen.get("calls", {})).items())
    errors = sum(dict(seen.get("errors", {})).values())
    times = ", ".join(f"{name} {ms} ms" for name, ms in dict(seen.get("p95Ms", {})).items() if ms is not None)
    compared = f"{seen.get('different', 0)} of {seen.get('compared', 0)} differ"
    return "; ".join([f"calls {calls}", f"errors {errors}", *([f"P95 {times}"] if times else []), compared])
