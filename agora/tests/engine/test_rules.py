"""The rules of requests break in Rust as they break in Python: the same fields, rules, messages, in the same order."""

import random
from collections import Counter
from typing import Any

import grpc
from engine_process import PRICING, SECONDS, SIGNING, Engine, refusal_of
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from agora_proto.payments.v1 import payments_pb2 as pay
from agora_proto.pricing.v1 import pricing_pb2 as pb
from tricorn.contract import Refusal, validate

METHODS: dict[str, type[Message]] = {
    f"{PRICING}/PriceProducts": pb.PriceProductsRequest,
    f"{PRICING}/PriceBasket": pb.PriceBasketRequest,
    f"{PRICING}/RepriceCatalogue": pb.RepriceCatalogueRequest,
    f"{SIGNING}/SignTransaction": pay.SignTransactionRequest,
}
REQUESTS = 2000
NUMBERS = (-(2**31), -1, 0, 1, 2, 20, 21, 64, 100, 101, 999, 1000, 9000, 9001, 10_000, 10_001, 50_001, 2**31 - 1)
WIDE = (*NUMBERS, -(2**63), 100_000_000, 100_000_001, 10_000_001, 1_000_000_000, 1_000_000_001, 2**63 - 1)
TEXTS = ("", "a", "b", "é" * 40, "é" * 41, "x" * 64, "x" * 65, "🎬" * 64, "n" * 200, "n" * 201, "\0")
BYTES = (b"", b"x", b"h" * 31, b"h" * 32, b"h" * 33, b"p" * 65_536, b"p" * 65_537)
COUNTS = (0, 0, 1, 1, 2, 3, 6, 7, 21)

RULES = {
    "required", "string.min_len", "string.max_len", "bytes.min_len", "bytes.max_len", "bytes.len",
    "int32.gte", "int32.gte_lte", "int64.gte_lte", "enum.defined_only", "enum.not_in",
    "repeated.min_items", "repeated.max_items", "repeated.unique",
}  # fmt: skip
BEYOND = {"lines.unique", "promotions.unique"}


def scalar(rng: random.Random, field: Any) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return rng.choice(TEXTS)
        case FieldDescriptor.TYPE_BYTES:
            return rng.choice(BYTES)
        case FieldDescriptor.TYPE_INT64:
            return rng.choice(WIDE)
        case FieldDescriptor.TYPE_ENUM:
            return rng.choice((-1, 0, 1, 2, 3, 4, 99))
        case FieldDescriptor.TYPE_INT32:
            return rng.choice(NUMBERS)
    raise AssertionError(field.full_name)


def fill(rng: random.Random, message: Message, set_share: float) -> Message:
    for field in message.DESCRIPTOR.fields:
        if rng.random() > set_share:
            continue
        if field.is_repeated:
            there = getattr(message, field.name)
            for _ in range(rng.choice(COUNTS)):
                if field.message_type is not None:
                    fill(rng, there.add(), set_share)
                else:
                    there.append(scalar(rng, field))
        elif field.message_type is not None:
            there = getattr(message, field.name)
            there.SetInParent()
            fill(rng, there, set_share)
        else:
            setattr(message, field.name, scalar(rng, field))
    return message


def expected_of(request: Message) -> Refusal | None:
    try:
        validate(request)
    except Refusal as refusal:
        return refusal
    return None


async def refused(channel: grpc.aio.Channel, method: str, request: Message) -> Refusal | None:
    try:
        await channel.unary_unary(f"/{method}", None, None)(request.SerializeToString(), timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        told = refusal_of(error)
        if told is None:
            raise
        return told
    return None


async def test_rules_break_alike(engine: Engine) -> None:
    rng = random.Random(4)  # noqa: S311 - repeatable, not secret
    seen = Counter[str]()
    async with engine.channel() as channel:
        for number in range(REQUESTS):
            method, kind = list(METHODS.items())[number % len(METHODS)]
            request = fill(rng, kind(), rng.choice((0.2, 0.6, 0.9)))
            expected, told = expected_of(request), await refused(channel, method, request)
            if expected is None:
                # What the business refuses beyond the rules is another test's.
                assert told is None or {broken.rule for broken in told.violations} <= BEYOND, (request, told)
                continue
            assert told is not None, request
            assert (told.reason, told.detail) == (expected.reason, expected.detail), request
            assert told.violations == expected.violations, request
            seen.update(violation.rule for violation in expected.violations)

    assert seen.keys() == RULES, "every rule of the contracts is to be broken at least once"
