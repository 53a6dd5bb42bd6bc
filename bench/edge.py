"""`GET /users/me` through the gateway against a bare `net/http` handler that writes the same bytes, and what each layer between costs.

The layers are told apart from outside, by requests that get further and further; each rung is measured beside the
others in turns, and its cost is the CPU of the gateway's processes for one request.
"""

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import client
import machine
from beside import Side, answer_to, bound, shape, try_native
from client import Class
from plans import PRODUCTS, USERS, Plans
from scenarios import get_request

ROUNDS = 4
CONNECTIONS = 32
_WARM_UP = 1.5
_ALL_SECONDS = 60.0
"""In which every token is verified and every user read, before what is measured."""
_BARE = "bare net/http"
_EDGE = "edge"
"""The process that has the public port where the gateway is not Python's."""
_ALONE = "+ token, limits, cache: me, one user"
_MANY = f"+ many entries: me, {USERS:,} users"
_LAST = f"+ changes: 1 % of calls PATCH, {USERS:,} users"
_PRODUCT = "product, one, kept for a second"
_PRODUCTS = f"product, {PRODUCTS:,} of them"
_AIM = 0.8
"""Of the bare handler's."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A request that gets so far."""

    name: str
    address: str
    plan: Path
    expect: int = 0
    many: bool = False
    """Everything is asked for once before each of its turns, so that tokens are verified and answers kept."""


def measure(seconds: float) -> dict[str, Any] | None:
    """The native shape's gateway; without a Go edge that of Python is measured, and said to be."""
    client.program()
    with tempfile.TemporaryDirectory(prefix="tricorn-bench-") as folder, contextlib.ExitStack() as stack:
        side = try_native(stack) or stack.enter_context(shape("python"))
        who = bound(side)["gateway"]
        if who == "python":
            print(
                "LEFT OUT, the Go edge: the gateway is bound to Python, so what follows is the Python gateway.",
                flush=True,
            )
        plans = Plans(side.known)
        answer = answer_to(side, plans.me(1).requests[0])
        like = Path(folder) / "like.json"
        like.write_text(json.dumps(answer))
        bare = stack.enter_context(client.running("bare", like=like))
        rungs = _rungs(side, bare["address"], plans, Path(folder))
        pids = {_BARE: [bare["pid"]]}
        taken: dict[str, list[dict[str, float]]] = {rung.name: [] for rung in rungs}
        for rung in rungs:
            client.ask("http", address=rung.address, plan=rung.plan, seconds=_WARM_UP, callers=CONNECTIONS)
        for number in range(ROUNDS):
            for rung in (*rungs[number % len(rungs) :], *rungs[: number % len(rungs)]):
                taken[rung.name].append(_window(rung, side, pids, seconds / ROUNDS))
        return {
            "gateway": who,
            "bytes": len(answer["body"]),
            "rungs": {name: _middle(each) for name, each in taken.items()},
        }


def lines(found: dict[str, Any]) -> list[str]:
    """For people."""
    rungs = found["rungs"]
    bare, last = rungs[_BARE], rungs[_LAST]
    said = [
        (
            f"GET /users/me through the {found['gateway']} gateway against a bare handler of the same {found['bytes']} bytes:"
            f" {last['rate'] / bare['rate']:.2f} of its requests/s, {bare['cpu_us'] / last['gateway_us']:.2f} by the gateway's"
            f" CPU, {bare['cpu_us'] / last['cpu_us']:.2f} by that of all processes but PostgreSQL"
        ),
        f"{'':44}{'requests/s':>11}{'gateway us':>12}{'added':>9}{'all us':>9}{'PostgreSQL us':>15}{'failed':>8}",
    ]
    before = 0.0
    for name, each in rungs.items():
        added = "" if name in {_PRODUCT, _PRODUCTS} else f"{each['gateway_us'] - before:.1f}"
        said.append(
            f"{name:44}{each['rate']:11.0f}{each['gateway_us']:12.1f}{added:>9}{each['cpu_us']:9.1f}"
            f"{each['postgres_us']:15.1f}{each['failures']:8.0f}"
        )
        before = each["gateway_us"]
    return [*said, _bound(rungs)]


def _bound(rungs: dict[str, dict[str, float]]) -> str:
    """What the aim leaves for the layers, and what they take."""
    bare, alone, many, last = (rungs[name]["gateway_us"] for name in (_BARE, _ALONE, _MANY, _LAST))
    return (
        f"{_AIM:g} of the bare handler leaves {bare / _AIM - bare:.1f} us for all layers together. They take {last - bare:+.1f}:"
        f" {alone - bare:+.1f} for one user, whose requests are known by their heads and not read again, {many - alone:+.1f} because"
        f" what is known of {USERS:,} users is not in the processor's caches, {last - many:+.1f} for the changes and for the reads"
        " that follow them"
    )


def _rungs(side: Side, bare: str, plans: Plans, folder: Path) -> list[Rung]:
    def plan(name: str, *classes: Class) -> Path:
        return client.write_plan(folder / f"{name}.json", classes)

    def one(path: str, token: str | None = None) -> Class:
        return Class("one", 1, [get_request(path, token)])

    alone, products = plans.me(1), plans.classes("product")[0]
    return [
        Rung(_BARE, bare, plan("bare", alone)),
        Rung("listener, protocol: /health/live", side.address, plan("live", one("/health/live"))),
        Rung("+ routes, problem: a path nobody has", side.address, plan("nowhere", one("/api/v1/nowhere")), 404),
        Rung("+ policy, no token: 401", side.address, plan("nobody", one("/api/v1/users/me")), 401),
        Rung(_ALONE, side.address, plan("alone", alone)),
        Rung(_MANY, side.address, plan("many", plans.me(USERS)), many=True),
        Rung(_LAST, side.address, plan("mixed", *plans.changing(USERS)), many=True),
        Rung(_PRODUCT, side.address, plan("product", Class("product", 1, products.requests[:1]))),
        Rung(_PRODUCTS, side.address, plan("products", products)),
    ]


def _window(rung: Rung, side: Side, others: dict[str, list[int]], seconds: float) -> dict[str, float]:
    """Requests/s, and microseconds of CPU for one of them: of the side's processes (or the bare handler), and of PostgreSQL."""
    if rung.many:
        client.ask("http", address=rung.address, plan=rung.plan, seconds=_ALL_SECONDS, callers=CONNECTIONS, once=True)
    roots = side.roots()
    pids = others.get(rung.name) or list(roots.values())
    first = others.get(rung.name) or [roots.get(_EDGE) or next(iter(roots.values()))]
    gateway = sum(map(machine.cpu_seconds, first))
    before, postgres = sum(map(machine.cpu_seconds, pids)), machine.cpu_seconds(side.postgres)
    options: dict[str, Any] = {
        "callers": CONNECTIONS,
        "seconds": seconds,
        "expect": rung.expect,
        "seed": time.time_ns() % 2**31,
    }
    report = client.ask("http", address=rung.address, plan=rung.plan, **options)
    answered = max(report["requests"] - report["failures"], 1)
    return {
        "rate": report["perSecond"],
        "cpu_us": 1e6 * (sum(map(machine.cpu_seconds, pids)) - before) / answered,
        "gateway_us": 1e6 * (sum(map(machine.cpu_seconds, first)) - gateway) / answered,
        "postgres_us": 1e6 * (machine.cpu_seconds(side.postgres) - postgres) / answered,
        "failures": report["failures"],
    }


def _middle(windows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(each[key] for each in windows) for key in windows[0]} | {
        "failures": sum(each["failures"] for each in windows)
    }
