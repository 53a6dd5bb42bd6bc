"""The bindings file, and who is in a share."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tricorn.wire.bindings
from tricorn.wire.bindings import Binding, Bindings, Shadow, bucket, dump_bindings, parse_bindings

VALUES = Path(tricorn.wire.bindings.__file__).with_name("buckets.json")

WHOLE = Bindings(
    7,
    {
        "shop.v1.Stock": Binding(
            "shop.v1.Stock", {"rust": 2500}, 7, "cutover", False, Shadow("rust", 500), True, {"to": "rust"}
        ),
        "shop.v1.Stock/Reserve": Binding("shop.v1.Stock/Reserve", {}, 6, "guard"),
    },
)


def test_the_hash_gives_what_is_written_for_every_language() -> None:
    values = json.loads(VALUES.read_text())["values"]

    found = [bucket(each["target"], each["key"]) for each in values]

    assert found == [each["bucket"] for each in values]


@given(st.text(), st.integers(0, 10_000), st.integers(0, 10_000))
def test_raising_a_share_never_moves_an_entity_back(key: str, one: int, other: int) -> None:
    lower, higher = sorted((one, other))

    stands = bucket("shop.v1.Stock", key)

    assert not (stands < lower and stands >= higher)
    assert 0 <= stands < 10_000


@pytest.mark.parametrize("share", [100, 2500, 5000, 9900])
def test_a_share_of_entities_is_what_it_says(share: int) -> None:
    entities = 20_000

    native = sum(bucket("shop.v1.Stock", f"entity-{number}") < share for number in range(entities))

    # Six standard deviations of a fair lot; the hash is fixed, so this holds always or never.
    expected, spread = entities * share / 10_000, (entities * share / 10_000 * (1 - share / 10_000)) ** 0.5
    assert abs(native - expected) < 6 * spread


def test_targets_divide_the_same_entities_differently() -> None:
    both = sum(bucket("a.One", str(key)) < 5000 and bucket("a.Two", str(key)) < 5000 for key in range(20_000))

    assert abs(both - 5000) < 400


def test_what_is_written_is_read_back() -> None:
    assert parse_bindings(dump_bindings(WHOLE)) == WHOLE


def test_members_of_a_later_version_are_passed_over() -> None:
    said = json.loads(dump_bindings(WHOLE))
    said["bindings"]["shop.v1.Stock"]["weather"] = "fine"

    assert parse_bindings(json.dumps(said)) == WHOLE


def _broken(**changes: object) -> str:
    said = {"version": 1, "generation": 1, "bindings": {"shop.v1.Stock": {"shares": {"rust": 1}, "generation": 1}}}
    binding = said["bindings"]["shop.v1.Stock"]  # type: ignore[index]
    for name, value in changes.items():
        (said if name in said else binding)[name] = value
    return json.dumps(said)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "not JSON"),
        ("\x00\xff", "not JSON"),
        ('{"version": 1', "not JSON"),
        ("[]", "an object is expected"),
        (_broken(version=2), "version: 1 is expected, not 2"),
        (_broken(generation=-1), "generation: a whole number"),
        (_broken(generation=True), "generation: a whole number"),
        (_broken(bindings=[]), "bindings: an object"),
        (_broken(bindings={"Stock": {}}), "package.Service"),
        (_broken(bindings={"shop.v1.Stock/": {}}), "package.Service"),
        (_broken(bindings={"shop.v1.Stock": 7}), "bindings['shop.v1.Stock']: an object"),
        (_broken(shares={"rust": 10_001}), "shares['rust']: basis points"),
        (_broken(shares={"rust": 25.0}), "shares['rust']: basis points"),
        (_broken(shares={"rust": "25"}), "shares['rust']: basis points"),
        (_broken(shares={"python": 1}), "has what is left"),
        (_broken(shares={"rust": 1, "go": 1}), "one implementation besides python"),
        (_broken(by="nobody"), "by: one of operator"),
        (_broken(auto=1), "auto: true or false"),
        (_broken(shadow={"implementation": "rust"}), "shadow.sample: basis points"),
        (_broken(shadow={"sample": 1}), "shadow.implementation: a name"),
    ],
)
def test_rubbish_is_refused_with_its_place(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=where.replace("[", r"\[")):
        parse_bindings(text)
