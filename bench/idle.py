"""What a shape holds in memory while nothing is asked of it, and what ten thousand connections add that do nothing."""

import contextlib
import time
from typing import Any

import client
import machine
from beside import Side, native_parts, shape, try_native

CONNECTIONS = 10_000
_SETTLE = 5.0


def measure() -> dict[str, Any]:
    """Both shapes after their start, one after the other."""
    client.program()
    found = {}
    with contextlib.ExitStack() as stack:
        native = try_native(stack)
        if native is not None:
            found["native"] = _one(native)
    with shape("python") as side:
        found["python"] = _one(side)
    return found


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    said = []
    for name, each in found.items():
        parts = ", ".join(f"{part} {size}" for part, size in each["idle_mib"].items())
        said.append(
            f"{name} ({each['parts']}): {sum(each['idle_mib'].values()):.0f} MiB of PSS idle, PostgreSQL left out: {parts}"
        )
        held = each["held"]
        if held.get("failure"):
            said.append(f"  only {held['held']:,} of {CONNECTIONS:,} connections were held: {held['failure']}")
        said.append(
            f"  {held['held']:,} idle connections: {each['added_mib']:.0f} MiB more in the system's PSS of all processes,"
            f" {1024 * each['added_mib'] / max(held['held'], 1):.1f} KiB each; answers meanwhile: {each['answers']}"
        )
    return said


def _one(side: Side) -> dict[str, Any]:
    time.sleep(_SETTLE)
    idle = side.memory()
    with client.running("hold", address=side.address, connections=CONNECTIONS) as held:
        time.sleep(_SETTLE)
        loaded = side.memory()
        answers = _answers(side)
    return {
        "parts": native_parts(side),
        "idle_mib": idle,
        "held_mib": loaded,
        "held": held,
        "added_mib": sum(loaded.values()) - sum(idle.values()),
        "postgres_mib": round(machine.pss_mib(side.postgres), 1),
        "answers": answers,
    }


def _answers(side: Side) -> str:
    """Whether somebody else is answered while they are held."""
    if side.shop is None:
        return "none"
    return "yes" if side.shop.visitor().products(pageSize=1) else "no"
