"""The Rust engine, in this process, answers as the reference does: in every field, the steps included."""

import ast
import inspect
import random
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from edge_baskets import edge_request
from extension import WORKSPACE, Engine
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2

from agora.pricing.generated import basket, basket_request, request
from agora.pricing.server.prices import PricingServer
from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.conformance import Case, load_cases, play
from tricorn.contract import MethodPolicy, Refusal
from tricorn.contract.validation import validate
from tricorn.host import load_manifest
from tricorn.wire import Call
from tricorn.wire.errors import from_status, to_status

CONTRACT = "agora.pricing.v1.PricingService"
MANIFEST = load_manifest(Path(__file__).parents[2])
MANIFEST.activate()
CASES = load_cases(MANIFEST, MANIFEST.root / "conformance", [CONTRACT])
CALL = Call("test", None, 0.0, "", {})
METHODS: dict[type, tuple[str, str, type[Any]]] = {
    pb.PriceProductsRequest: ("PriceProducts", "price_products", pb.PriceProductsResponse),
    pb.PriceBasketRequest: ("PriceBasket", "price_basket", pb.PriceBasketResponse),
    pb.RepriceCatalogueRequest: ("RepriceCatalogue", "reprice_catalogue", pb.RepriceCatalogueResponse),
}


async def here(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


async def reference(asked: Message) -> Message:
    """The Python answer: a response, or the status that a refusal is sent as."""
    _, function, _ = METHODS[type(asked)]
    try:
        validate(asked)
        answer: Message = await getattr(PricingServer(here), function)(asked, CALL)
    except Refusal as refusal:
        answer = status_pb2.Status.FromString(to_status(refusal)[1])
    return answer


def answered(engine: Engine, asked: Message) -> Message:
    """Rust's answer, likewise."""
    name, _, response = METHODS[type(asked)]
    try:
        answer: Message = response.FromString(engine.call(f"{CONTRACT}/{name}", asked.SerializeToString()))
    except engine.Refused as refused:
        answer = status_pb2.Status.FromString(refused.status)  # type: ignore[attr-defined]
    return answer


async def differing(engine: Engine, requests: Iterable[Message]) -> tuple[list[Message], Counter[str]]:
    """The requests that are answered in two ways, and what kinds of answers there were."""
    found, seen = [], Counter[str]()
    for asked in requests:
        expected = await reference(asked)
        if answered(engine, asked) != expected:
            found.append(asked)
        seen["refused" if isinstance(expected, status_pb2.Status) else "answered"] += 1
        if isinstance(expected, pb.PriceBasketResponse):
            seen["exact" if expected.exact else "cut off"] += 1
            seen["cheaper"] += bool(expected.applied)
    return found, seen


def as_drawn(seed: int) -> pb.PriceBasketRequest:
    """A basket of the oracle's distribution, its unit prices as they are: below 10,000 a factor of 0.99997 changes none."""
    asked = basket_request(basket(seed), random.Random(seed))  # noqa: S311 - repeatable, not secret
    asked.tier = pb.TIER_BASIC
    for line in asked.lines:
        line.product.available = 100
        line.product.demand_basis_points = 10_526
    return asked


async def test_two_thousand_baskets_cost_the_same_ties_and_spent_budgets_among_them(engine: Engine) -> None:
    found, seen = await differing(engine, map(as_drawn, range(2_000)))

    assert found == []
    assert seen["answered"] == 2_000
    assert seen["cut off"] >= 0.02 * 2_000


async def test_baskets_at_the_contract_s_edges_cost_the_same(engine: Engine) -> None:
    found, seen = await differing(engine, map(edge_request, range(200)))

    assert found == []
    assert seen["answered"] == 200
    assert min(seen["exact"], seen["cut off"], seen["cheaper"]) >= 20


@pytest.mark.parametrize("method", ["PriceProducts", "PriceBasket", "RepriceCatalogue"])
async def test_generated_requests_are_answered_the_same(engine: Engine, method: str) -> None:
    rng = random.Random(method)  # noqa: S311 - repeatable, not secret
    drawn = [request(rng, method) for _ in range(300)]

    found, seen = await differing(engine, [each for each in drawn if each is not None])

    # An elasticity too: the same sums, rounded once, and the same library's logarithms.
    assert found == []
    assert seen["answered"] >= 250


def broken(seed: int) -> Message:
    """A request in which up to three numbers or texts are not what they were."""
    rng = random.Random(seed)  # noqa: S311 - repeatable, not secret
    asked: Message | None = edge_request(seed) if seed % 2 else request(rng, "RepriceCatalogue")
    assert asked is not None
    for _ in range(rng.randint(1, 3)):
        _break(rng, asked)
    return asked


def _break(rng: random.Random, message: Message) -> None:
    field = cast("FieldDescriptor", rng.choice(message.DESCRIPTOR.fields))
    value = getattr(message, field.name)
    if field.message_type is not None:
        if field.is_repeated and len(value) and rng.random() < 0.2:
            value.append(value[0])
        elif not field.is_repeated and rng.random() < 0.2:
            message.ClearField(field.name)
        elif not field.is_repeated:
            _break(rng, value)
        elif len(value):
            _break(rng, rng.choice(value))
    elif field.is_repeated:
        value.extend(["x" * rng.choice((0, 64, 65)), "twice", "twice"])
    elif isinstance(value, str):
        setattr(message, field.name, "é" * rng.choice((0, 1, 64, 65, 201)))
    else:
        setattr(message, field.name, rng.choice((-1, 0, 4, 10_001, 2**31 - 1)))


async def test_broken_requests_are_refused_in_the_same_words(engine: Engine) -> None:
    found, seen = await differing(engine, map(broken, range(600)))

    assert found == []
    assert min(seen["refused"], seen["answered"]) >= 60


@pytest.mark.full
async def test_a_hundred_thousand_baskets_cost_the_same(engine: Engine) -> None:
    found, seen = await differing(engine, map(as_drawn, range(2_000, 100_000)))
    edge, seen_at_edges = await differing(engine, map(edge_request, range(200, 2_200)))

    assert found == edge == []
    assert seen["cut off"] >= 0.02 * 98_000
    assert seen_at_edges["cut off"] >= 200


class InExtension:
    """The extension as something that cases are played against."""

    name = "rust-extension"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def answers(self, case: Case) -> AsyncIterator["InExtension"]:
        yield self

    async def invoke(self, policy: MethodPolicy, request: Message) -> Message:
        answer = answered(self._engine, request)
        if isinstance(answer, status_pb2.Status):
            refusal = from_status(answer)
            assert refusal is not None
            raise refusal
        return answer

    def open_stream(self, policy: MethodPolicy, request: Message) -> AsyncIterator[Message]:
        raise AssertionError(policy.full_name)


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_the_extension_behaves_as_the_contract_says(engine: Engine, case: Case) -> None:
    outcome = await play(case, InExtension(engine))

    assert outcome.passed, outcome.findings


def test_what_is_no_request_and_what_is_no_method_are_refused(engine: Engine) -> None:
    for method, asked, reason in (
        (f"{CONTRACT}/PriceBasket", b"\xff", "MALFORMED_REQUEST"),
        (f"{CONTRACT}/Price", b"", "UNIMPLEMENTED"),
    ):
        with pytest.raises(engine.Refused) as error:
            engine.call(method, asked)
        refusal = from_status(status_pb2.Status.FromString(error.value.status))  # type: ignore[attr-defined]
        assert refusal is not None
        assert refusal.reason == reason


def test_the_stubs_say_what_the_extension_offers(engine: Engine) -> None:
    said = ast.parse((WORKSPACE / "crates" / "engine-py" / "agora_engine.pyi").read_text()).body
    functions = {each.name: [word.arg for word in each.args.args] for each in said if isinstance(each, ast.FunctionDef)}
    classes = {each.name for each in said if isinstance(each, ast.ClassDef)}

    there = {name for name in vars(engine) if not name.startswith("_")}

    assert there == classes | functions.keys()
    assert {name: list(inspect.signature(getattr(engine, name)).parameters) for name in functions} == functions


def test_a_wheel_of_the_extension_has_its_name_and_takes_its_stubs_along() -> None:
    crate = WORKSPACE / "crates" / "engine-py"
    wheel, library = (tomllib.loads((crate / name).read_text()) for name in ("pyproject.toml", "Cargo.toml"))

    name = wheel["tool"]["maturin"]["module-name"]

    assert name == library["lib"]["name"]
    assert (crate / f"{name}.pyi").is_file()  # maturin packs the stubs that lie beside the manifest under this name


def test_the_search_is_timed_alone(engine: Engine) -> None:
    assert 0 < engine.search_seconds(as_drawn(1).SerializeToString(), 10) < 1
    with pytest.raises(ValueError, match="repeats"):
        engine.search_seconds(b"", 0)
    with pytest.raises(ValueError, match="lines: must contain at least 1 item"):
        engine.search_seconds(b"", 1)
