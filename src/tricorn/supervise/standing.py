"""What runs in a home and how it does: the state file, the bindings, and what must be asked or measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tricorn.host.references import REFERENCE
from tricorn.prove.place import place
from tricorn.supervise.health import Pulse
from tricorn.supervise.public import get
from tricorn.supervise.reports import troubles
from tricorn.supervise.usage import cpu_seconds, pss_bytes, rss_bytes, tree
from tricorn.wire.bindings import ALL, AT_GATEWAY, BINDINGS_FILE, GATEWAY, Binding, Bindings, parse_bindings

if TYPE_CHECKING:
    from pathlib import Path

_SERVING, _NOT_SERVING = "serving", "not serving"
_WATCH_SECONDS = 0.25
_HEALTH_SECONDS = 1.0
_OK = 200


def describe(state: dict[str, Any], home: Path) -> dict[str, Any]:
    """What `tricorn status --json` says of a state file's content."""
    processes = _processes(state["processes"])
    health = {process["name"]: process["health"] for process in processes}
    if state["phase"] != "ready" or get(state["url"], "/health/ready")[0] != _OK:
        health.update({service["process"]: _NOT_SERVING for service in state["services"]})
    bindings = _bindings(home)
    return {
        "url": state["url"],
        "shape": state["shape"],
        "phase": state["phase"],
        "services": [
            _gateway(each, state, bindings, health)
            if each["contract"] == GATEWAY
            else _service(each, state["parts"], bindings, health, home)
            for each in state["services"]
        ],
        "processes": processes,
        "parts": state["parts"],
        "troubles": troubles(home),
    }


def _service(
    service: dict[str, Any], parts: list[dict[str, Any]], bindings: Bindings, health: dict[str, str], home: Path
) -> dict[str, Any]:
    """Who answers most calls of a contract, and where it is on its way."""
    contract = service["contract"]
    part = next((part for part in parts if contract in part["contracts"]), None)
    binding = bindings.at(contract)
    there = part is not None and part["up"] and binding.native == part["language"]
    share = binding.share if there else 0
    native = part is not None and share * 2 >= ALL
    who = part if native and part is not None else {**service, "language": REFERENCE}
    shares = {REFERENCE: ALL - share, **({binding.native: share} if share and binding.native else {})}
    return {
        "name": service["name"],
        "contract": contract,
        "implementation": who["language"],
        "process": who["process"],
        "address": who["address"] or "in-process",
        "health": health.get(who["process"], _NOT_SERVING),
        "share": shares[who["language"]],
        "shares": shares,
        "place": _place(contract, part, bindings, home, there=there),
    }


def _gateway(
    service: dict[str, Any], state: dict[str, Any], bindings: Bindings, health: dict[str, str]
) -> dict[str, Any]:
    """Who has the public port."""
    now, binding = state["gateway"], bindings.at(GATEWAY)
    part = next((part for part in state["parts"] if GATEWAY in part["contracts"]), None)
    language = now["language"]
    if binding.native is not None and binding.native != language:
        place = f"bound to {binding.native}, which is not there, so {language} has the port"
    elif not binding.auto or binding.native is not None:
        place = "; ".join([f"bound by {binding.by}", *_doubts(GATEWAY, part, binding)])
    else:
        place = part["contracts"][GATEWAY] if part is not None else ""
    return {
        "name": service["name"],
        "contract": GATEWAY,
        "implementation": language,
        "process": now["process"],
        "address": state["url"],
        "health": health.get(now["process"], _NOT_SERVING),
        "share": ALL,
        "shares": {language: ALL},
        "place": place,
    }


def _place(contract: str, part: dict[str, Any] | None, bindings: Bindings, home: Path, *, there: bool) -> str:
    binding = bindings.at(contract)
    words = [
        f"{target.partition('/')[2]} {'at the gateway' if own.record.get(AT_GATEWAY) else 'by itself'}: "
        + (f"{own.share / 100:g} % {own.native}" if own.native else REFERENCE)
        for target, own in sorted(bindings.by_target.items())
        if target.startswith(f"{contract}/") and (own.native or not own.record.get(AT_GATEWAY))
    ]
    if binding.native is not None and not there:
        words.append(f"bound to {binding.native}, which is not there, so {REFERENCE} answers")
    elif binding.by in {"cutover", "guard"}:
        words.append(place(home, contract))
    elif contract in bindings.by_target and (binding.native is not None or not binding.auto):
        words.append(f"bound by {binding.by}")
    words += _doubts(contract, part, binding)
    if part is not None and binding.native is None and binding.auto:
        words.append(part["contracts"][contract])
    if binding.shadow is not None:
        words.append(f"{binding.shadow.sample / 100:g} % compared with {binding.shadow.implementation}")
    return "; ".join(filter(None, words))


def _doubts(contract: str, part: dict[str, Any] | None, binding: Binding) -> list[str]:
    """What is bound although evidence does not speak for it is called that."""
    why = part.get("doubts", {}).get(contract) if part is not None and binding.native == part["language"] else None
    return [f"without evidence: {why}"] if why else []


def _processes(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    trees = {process["name"]: tree(process["pid"]) if process["pid"] else [] for process in listed}
    # The supervisor is everybody's parent: count it alone.
    trees["supervisor"] = trees.get("supervisor", [])[:1]
    before, began = {name: cpu_seconds(pids) for name, pids in trees.items()}, time.monotonic()
    time.sleep(_WATCH_SECONDS)
    after, seconds = {name: cpu_seconds(pids) for name, pids in trees.items()}, time.monotonic() - began
    return [
        {
            "name": name,
            "pid": process["pid"],
            "health": _health(process["address"]) if process["address"] else _SERVING if trees[name] else _NOT_SERVING,
            "address": process["address"],
            "rssBytes": rss_bytes(trees[name]),
            "pssBytes": pss_bytes(trees[name]),
            "cpuSeconds": round(after[name], 2),
            "cpuPercent": round(max(0.0, after[name] - before[name]) / seconds * 100, 1),
            "restarts": process["restarts"],
        }
        for process in listed
        for name in [process["name"]]
    ]


def _health(address: str) -> str:
    pulse = Pulse(address)
    try:
        return _SERVING if pulse.serving(_HEALTH_SECONDS) else _NOT_SERVING
    finally:
        pulse.close()


def _bindings(home: Path) -> Bindings:
    try:
        return parse_bindings((home / BINDINGS_FILE).read_bytes())
    except (OSError, ValueError):
        return Bindings()
