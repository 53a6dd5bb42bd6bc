"""What commands call contracts and methods."""

from pathlib import Path

import pytest

from tricorn.host import ManifestError, load_manifest
from tricorn.host.targets import Target, find_target, short_name

TALLY = "toy.tally.v1.TallyService"


def test_a_contract_has_a_short_name() -> None:
    assert short_name("agora.pricing.v1.PromotionsService") == "promotions"


@pytest.mark.parametrize("word", ["tally", "TallyService", TALLY])
def test_a_contract_is_found_by_each_of_its_names(toy: Path, word: str) -> None:
    target = find_target(load_manifest(toy), word)

    assert target == Target(TALLY)
    assert (target.key, target.short) == (TALLY, "tally")


def test_the_gateway_is_a_target_only_of_what_moves_it(toy: Path) -> None:
    assert find_target(load_manifest(toy), "gateway", gateway=True) == Target("gateway")
    with pytest.raises(ManifestError, match="moves as a whole: `tricorn bind gateway=IMPLEMENTATION`"):
        find_target(load_manifest(toy), "gateway")


@pytest.mark.parametrize("word", ["tally/GetTally", f"{TALLY}/GetTally"])
def test_a_method_is_found_behind_a_slash(toy: Path, word: str) -> None:
    target = find_target(load_manifest(toy), word)

    assert target == Target(TALLY, "GetTally")
    assert (target.key, target.short) == (f"{TALLY}/GetTally", "tally/GetTally")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("talley", "there is no contract 'talley'; choose one of: keys, notes, tally"),
        ("tally/SetTally", "tally has no method 'SetTally'; choose one of: GetTally"),
        ("tally/", "tally has no method ''"),
        ("", "there is no contract ''"),
    ],
)
def test_what_is_not_there_is_said_with_the_choices(toy: Path, word: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        find_target(load_manifest(toy), word)

    assert said in str(caught.value)


def test_a_name_that_two_contracts_have_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "tricorn.toml").write_text("""
[application]
name = "shop"
title = "Shop"
package = "shop"
python_package = "shop_proto"
[contexts.goods]
package = "shop.goods"
contracts = ["shop.goods.v1.ThingsService", "shop.more.v1.ThingsService"]
[processes.all]
contexts = ["goods"]
[shapes.python]
processes = ["all"]
""")

    with pytest.raises(ManifestError, match=r"choose one of: shop\.goods\.v1\.ThingsService, shop\.more"):
        find_target(load_manifest(tmp_path), "things")
