"""What Rust gains on baskets: the search alone, and a whole call by each of the ways to it, by size of the basket."""

import math
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import machine
import uvloop

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "agora/tests/pricing"))

from extension import Engine, have_cargo, load_engine  # noqa: E402 - found through the line above

from agora.pricing.domain.basket import price_basket  # noqa: E402
from agora.pricing.domain.lines import Tier, unit_price  # noqa: E402
from agora.pricing.domain.promotions import BasketPrice, Line  # noqa: E402
from agora.pricing.generated import basket, basket_request  # noqa: E402
from agora.pricing.server.convert import promotion_from  # noqa: E402
from agora.pricing.server.prices import PricingServer  # noqa: E402
from agora_proto.pricing.v1 import pricing_pb2 as pb  # noqa: E402
from agora_proto.pricing.v1.pricing_tricorn import PricingServiceClient  # noqa: E402
from tricorn.conformance.started import started_native  # noqa: E402
from tricorn.host import Manifest, load_manifest  # noqa: E402
from tricorn.telemetry import CallStats, continue_trace  # noqa: E402
from tricorn.wire import Call, Endpoints, Service, Wire, call_scope  # noqa: E402
from tricorn.wire.bindings import parse_bindings  # noqa: E402

CONTRACT = "agora.pricing.v1.PricingService"
SIZES = ((1, 0), (1, 6), (2, 2), (3, 4), (5, 6), (5, 12), (10, 12), (20, 12), (50, 24))
"""Lines and promotions."""
BASKETS = 12
"""Of each size, each from a seed of its own."""
WAYS = ("python", "extension", "socket")
_LEAST = 3
"""What the generator of contested baskets needs of each; smaller ones are cut from those."""
_ROUND_SECONDS = 0.05
_MOST_ROUNDS = 5
_BY_CPU = ("python", "socket")
_CPU_CALLS = 4_000
_NATIVE = "engine"
_DECADE = 14
"""Characters of the plot for a factor of ten."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A basket as the wire, the extension and the domain get it."""

    request: pb.PriceBasketRequest
    wanted: bytes
    price: Callable[[], BasketPrice]


def measure() -> dict[str, Any]:
    """Medians over the baskets of each size, in microseconds; the ways take turns at each basket."""
    if not have_cargo():
        raise RuntimeError("pricing is measured with an engine that is built here, and there is no cargo")
    manifest = load_manifest(ROOT / "agora")
    manifest.activate()
    engine = load_engine()
    return uvloop.run(_measure(manifest, engine))


async def _measure(manifest: Manifest, engine: Engine) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    async with _clients(manifest, engine) as clients:
        least_cpu = {way: await _cpu_us(clients[way], (await anext(_drawn(*SIZES[0]))).request) for way in _BY_CPU}
        for lines, promotions in SIZES:
            drawn = [each async for each in _drawn(lines, promotions)]
            found.append({
                "lines": lines,
                "promotions": promotions,
                "search": _searches(engine, drawn),
                "call": await _calls(clients, drawn),
            })  # fmt: skip
    added = least_cpu["socket"] - least_cpu["python"] + found[0]["search"]["python_us"]
    return {
        "baskets": BASKETS,
        "sizes": found,
        "pays_from": {way: _pays(found, way) for way in WAYS[1:]},
        "least_cpu_us": least_cpu,
        "socket_adds_cpu_us": round(added, 1),
    }


def lines(found: dict[str, Any]) -> list[str]:
    """For people: two tables and a plot."""
    calls = "".join(f"{way:>10}" for way in WAYS)
    said = [
        f"Baskets, {found['baskets']} of each size, medians in us; a search ends after 50,000 steps at the latest",
        f"{'':10}{'search:':>10}{'':>10}{'':>8}{'':>16}{'':>9}{'cut':>5}   {'whole call:':>10}",
        f"{'':10}{'python':>10}{'rust':>10}{'ratio':>8}{'least .. most':>16}{'steps':>9}{'off':>5}   {calls}",
    ]
    for each in found["sizes"]:
        search, call = each["search"], each["call"]
        spread = f"{search['ratio_least']:g} .. {search['ratio_most']:g}"
        said.append(
            f"{_size(each):10}{search['python_us']:10}{search['rust_us']:10}{search['ratio']:8}{spread:>16}"
            f"{search['steps']:9,}{search['cut_off']:5}   " + "".join(f"{call[f'{way}_us']:10}" for way in WAYS)
        )
    for way, first in found["pays_from"].items():
        said.append(f"{way} pays from {first} on" if first else f"{way} does not pay")
    said.append(
        f"a call by the socket adds {found['socket_adds_cpu_us']} us of CPU in both processes, the search left out"
    )
    return [*said, "", *plot(found["sizes"])]


def plot(sizes: Sequence[dict[str, Any]]) -> list[str]:
    """How long a whole call takes, a line for each size: P in Python, E in the extension, S by the socket."""
    head = "".join(f"|{text:<{_DECADE - 1}}" for text in ("10 us", "100 us", "1 ms", "10 ms", "100 ms"))
    drawn = [f"{'':10}{head}".rstrip()]
    for each in sizes:
        marks = [" "] * (5 * _DECADE)
        for way in reversed(WAYS):
            at = round((math.log10(each["call"][f"{way}_us"]) - 1) * _DECADE)
            marks[min(max(at, 0), len(marks) - 1)] = way[0].upper()
        drawn.append(f"{_size(each):10}{''.join(marks)}".rstrip())
    return drawn


def _size(each: dict[str, Any]) -> str:
    return f"{each['lines']} x {each['promotions']}"


async def _drawn(lines: int, promotions: int) -> AsyncIterator[Drawn]:
    """Baskets of exactly that size, with the default budget of steps."""
    most = max(lines, _LEAST)
    seed, found = 0, 0
    while found < BASKETS:
        seed += 1
        one = basket(seed, most_lines=most, most_units=3 * most, most_promotions=max(promotions, _LEAST))
        if len(one.lines) >= lines and len(one.promotions) >= promotions:
            found += 1
            cut = replace(one, lines=one.lines[:lines], promotions=one.promotions[:promotions], step_budget=0)
            yield _one(basket_request(cut, random.Random(seed)))  # noqa: S311 - repeatable, not secret


def _one(request: pb.PriceBasketRequest) -> Drawn:
    tier = Tier(request.tier)
    lines = [
        Line(
            each.product.product_id,
            each.quantity,
            unit_price(each.product.base_minor_units, each.product.available, each.product.demand_basis_points, tier),
            frozenset(each.category_ids),
        )
        for each in request.lines
    ]
    promotions = [promotion_from(each) for each in request.promotions]
    codes = frozenset(request.coupon_codes)
    return Drawn(request, request.SerializeToString(), lambda: price_basket(lines, promotions, codes))


def _searches(engine: Engine, drawn: Sequence[Drawn]) -> dict[str, Any]:
    """The best price alone: no decoding, no checks. Each figure is the best of some rounds, in turns."""
    python, rust, ratios, cut_off, steps = [], [], [], 0, []
    for each in drawn:
        price = each.price()
        steps.append(price.steps)
        cut_off += not price.exact
        ours = theirs = float("inf")
        for _ in range(_MOST_ROUNDS):
            began = time.perf_counter()
            each.price()
            ours = min(ours, time.perf_counter() - began)
            once = engine.search_seconds(each.wanted, 1)
            theirs = min(theirs, once, engine.search_seconds(each.wanted, max(1, min(200, int(0.002 / once)))))
        python.append(ours)
        rust.append(theirs)
        ratios.append(ours / theirs)
    return {
        "python_us": _micro(python),
        "rust_us": _micro(rust),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_least": round(min(ratios), 1),
        "ratio_most": round(max(ratios), 1),
        "steps": int(statistics.median(steps)),
        "cut_off": cut_off,
    }


async def _calls(clients: dict[str, PricingServiceClient], drawn: Sequence[Drawn]) -> dict[str, Any]:
    """A call after the other, none at the same time. Answers are compared first; times are each basket's median."""
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for each in drawn:
        answers = [await clients[way].price_basket(each.request) for way in WAYS]
        if any(answer != answers[0] for answer in answers):
            raise AssertionError(f"answered in two ways: {each.request}")
        single: dict[str, list[float]] = {way: [] for way in WAYS}
        until = time.perf_counter() + _ROUND_SECONDS * len(WAYS)
        while len(single[WAYS[0]]) < _MOST_ROUNDS or time.perf_counter() < until:
            for way in WAYS:
                single[way].append(await _timed(clients[way], each.request))
        for way in WAYS:
            taken[way].append(statistics.median(single[way]))
    return {f"{way}_us": _micro(taken[way]) for way in WAYS}


async def _cpu_us(client: PricingServiceClient, request: pb.PriceBasketRequest) -> float:
    """CPU of this process and the engine for a call, one after the other: each wakes both sides, as most of a shop's do."""
    await client.price_basket(request)
    before = machine.cpu_seconds(os.getpid())
    for _ in range(_CPU_CALLS):
        await client.price_basket(request)
    return round((machine.cpu_seconds(os.getpid()) - before) / _CPU_CALLS * 1e6, 1)


async def _timed(client: PricingServiceClient, request: pb.PriceBasketRequest) -> float:
    began = time.perf_counter()
    await client.price_basket(request)
    return time.perf_counter() - began


def _micro(seconds: Sequence[float]) -> float:
    return round(statistics.median(seconds) * 1e6, 1)


def _pays(found: Sequence[dict[str, Any]], way: str) -> str:
    """The first size from which on every size is answered faster that way than by Python; empty when there is none."""
    first = ""
    for size in reversed(found):
        if size["call"][f"{way}_us"] >= size["call"]["python_us"]:
            break
        first = _size(size)
    return first


@asynccontextmanager
async def _clients(manifest: Manifest, engine: Engine) -> AsyncIterator[dict[str, PricingServiceClient]]:
    """One client for each way, all through the wire, with whoever calls having all the time in the world."""
    with continue_trace(None), call_scope(timeout=3600):
        async with started_native(manifest, _NATIVE, home=ROOT / ".tricorn") as address:
            bound = parse_bindings(
                '{"version": 1, "generation": 1, "bindings": '
                f'{{"{CONTRACT}": {{"shares": {{"rust": 10000}}, "generation": 1, "by": "operator", "auto": false}}}}}}'
            )
            python = Endpoints(_hosting(PricingServer(_here)))
            extension = Endpoints(_hosting(InExtension(engine)))
            socket = Endpoints(_hosting(PricingServer(_here)), {CONTRACT: {"rust": [address]}}, bindings=bound)
            ways = zip(WAYS, (python, extension, socket), strict=True)
            try:
                yield {way: PricingServiceClient(Wire(endpoints)) for way, endpoints in ways}
            finally:
                await socket.close()


def _hosting(server: PricingServer) -> Service:
    service = Service(CallStats())
    service.add(server)
    return service


async def _here(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class InExtension(PricingServer):
    """The contract's Python server with the extension inside: a request is checked by both."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(_here)
        self._engine = engine

    async def price_basket(self, request: pb.PriceBasketRequest, call: Call) -> pb.PriceBasketResponse:
        answer = self._engine.call(f"{CONTRACT}/PriceBasket", request.SerializeToString())
        return pb.PriceBasketResponse.FromString(answer)
