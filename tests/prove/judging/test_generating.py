"""Messages drawn from a contract."""

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings

from tricorn.contract import Refusal, service_policies, validate
from tricorn.host import Manifest
from tricorn.prove.coverage import Coverage
from tricorn.prove.inputs import RandomDraws, Seen
from tricorn.prove.inputs.invalid import break_a_rule, damage, with_unknown_field
from tricorn.prove.inputs.messages import DEEPEST, Generator
from tricorn.prove.inputs.mix import Mix
from tricorn.prove.inputs.strategies import messages

SHAPES = "quiz.shapes.v1.ShapesService"


@pytest.fixture(scope="module")
def request_type(quiz: Manifest) -> Any:
    return service_policies(SHAPES)[0].input


def draws_of(seed: int) -> RandomDraws:
    return RandomDraws(random.Random(seed))  # noqa: S311 - repeatable, not secret


def drawn(kind: Any, count: int, seed: int = 1, seen: Seen | None = None) -> list[Any]:
    generator, draws = Generator(seen), draws_of(seed)
    return [generator.draw(kind, draws) for _ in range(count)]


def is_valid(message: Any) -> bool:
    try:
        validate(message)
    except Refusal:
        return False
    return True


def depth(circle: Any) -> int:
    inner = [*circle.around, *([circle.inside] if circle.HasField("inside") else [])]
    return 1 + max((depth(each) for each in inner), default=0)


def test_messages_keep_to_every_rule_of_their_contract(request_type: Any) -> None:
    found = drawn(request_type, 300)

    # The expression of `parity` can only be met by trying: a few are left that it refuses.
    assert sum(map(is_valid, found)) >= 295


def test_every_field_and_every_enum_value_is_seen(request_type: Any) -> None:
    coverage = Coverage([request_type.DESCRIPTOR])

    for message in drawn(request_type, 500):
        coverage.add(message)

    assert coverage.fields_never_set() == []
    assert coverage.values_never_seen() == []


def test_an_open_enum_gets_numbers_that_nobody_defined(request_type: Any) -> None:
    numbers = Counter(message.open for message in drawn(request_type, 500))

    assert set(numbers) > {0, 1, 2}


def test_both_sides_of_a_gap_and_the_edges_of_a_range_are_drawn(request_type: Any) -> None:
    found = drawn(request_type, 500)

    assert {message.outside > 0 for message in found} == {True, False}
    assert {101, -101} <= {message.outside for message in found}
    assert {message.small for message in found} == {4, 6, 7, 8, 9}
    assert {message.chosen for message in found} == {7, 11, 4_000_000_000}


def test_recursion_ends(request_type: Any) -> None:
    deepest = max(
        depth(message.circle) for message in drawn(request_type, 500) if message.WhichOneof("shape") == "circle"
    )

    assert 2 <= deepest <= DEEPEST


def test_what_is_listed_meets_what_is_named(request_type: Any) -> None:
    met = [
        message
        for message in drawn(request_type, 300)
        if {point.point_id for point in message.points} & set(message.point_ids)
    ]

    assert len(met) > 100


def test_values_that_were_seen_are_used(request_type: Any) -> None:
    seen = Seen([request_type(title="seen", points=[{"point_id": "corner"}])])

    found = drawn(request_type, 200, seen=seen)

    assert sum(message.title == "seen" for message in found) > 5
    assert sum(any(point.point_id == "corner" for point in message.points) for message in found) > 20


def test_the_same_seed_gives_the_same_messages(quiz: Manifest) -> None:
    policies = service_policies(SHAPES)
    one, same, other = (list(Mix(policies, {}, None, seed).generated(200)) for seed in (1, 1, 2))

    assert one == same
    assert one != other


def test_a_broken_message_breaks_one_rule(request_type: Any) -> None:
    draws = draws_of(3)
    rules: Counter[str] = Counter()
    for message in drawn(request_type, 400):
        break_a_rule(message, draws)
        try:
            validate(message)
        except Refusal as refusal:
            rules.update(violation.rule for violation in refusal.violations)

    assert {"required", "string.min_len", "string.max_len", "string.pattern", "string.uuid", "bytes.len", "enum.defined_only",
            "repeated.min_items", "repeated.unique", "int32.gt_lt", "int32.not_in", "int64.gt_lt_exclusive"} <= set(rules)  # fmt: skip
    assert rules.total() >= 380


def test_a_field_of_a_newer_contract_leaves_the_message_as_it_was(request_type: Any) -> None:
    draws = draws_of(4)
    for message in drawn(request_type, 20):
        payload = message.SerializeToString(deterministic=True)

        longer = with_unknown_field(payload, draws)

        read = request_type.FromString(longer)
        assert len(longer) > len(payload)
        read.DiscardUnknownFields()
        assert read.SerializeToString(deterministic=True) == payload


def test_damage_always_changes_the_bytes_of_a_message() -> None:
    draws = draws_of(5)

    assert all(damage(b"\x0a\x03abc", draws) != b"\x0a\x03abc" for _ in range(200))


def test_hypothesis_draws_the_same_kind_of_messages(request_type: Any) -> None:
    valid: Counter[bool] = Counter()

    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    @given(messages(request_type))
    def check(message: Any) -> None:
        valid[is_valid(message)] += 1
        assert message.WhichOneof("shape")

    check()
    assert valid[True] > valid[False]
