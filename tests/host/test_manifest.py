"""What `tricorn.toml` may say, and what is said when it is wrong."""

from pathlib import Path

import pytest

from tricorn.host import ManifestError, find_manifest, load_manifest

GOOD = """
[application]
name = "shop"
title = "Shop"
package = "shop"
python_package = "shop_proto"

[contexts.goods]
package = "shop.goods"
contracts = ["shop.goods.v1.GoodsService"]

[processes.all]
contexts = ["goods"]

[shapes.python]
processes = ["all"]
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "tricorn.toml"
    path.write_text(text)
    return path


def test_a_good_manifest_is_read(tmp_path: Path) -> None:
    manifest = load_manifest(_write(tmp_path, GOOD))

    assert (manifest.name, list(manifest.contexts), manifest.root) == ("shop", ["goods"], tmp_path.resolve())
    assert manifest.proto_source.output == tmp_path.resolve() / "src" / "shop_proto"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[application]", "[aplication]"), "aplication"),
        (('name = "shop"', 'name = "Shop!"'), "application.name"),
        (('contexts = ["goods"]', 'contexts = ["bads"]'), "no context is called 'bads'"),
        (('processes = ["all"]', 'processes = ["some"]'), "no process is called 'some'"),
        (("[contexts.goods]", "[contexts.Goods-1]"), "lower case"),
        (('title = "Shop"', "title = "), "not TOML"),
        (('package = "shop.goods"', 'package = "shop.goods"\ncolour = "red"'), "contexts.goods.colour"),
    ],
)
def test_a_wrong_manifest_says_where(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = _write(tmp_path, GOOD.replace(*change, 1))

    with pytest.raises(ManifestError) as caught:
        load_manifest(path)

    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_manifest_is_found_in_the_folder_or_one_below(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    path = _write(tmp_path / "shop", GOOD)

    assert find_manifest(tmp_path) == path
    assert find_manifest(tmp_path / "shop") == path


def test_where_there_is_none_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="--app"):
        find_manifest(tmp_path)


NATIVE = """
[natives.fast]
language = "rust"
root = "native"
build = ["make"]
binary = "fast"
sources = ["native"]
contracts = ["shop.goods.v1.GoodsService"]
needs = [{tool = "make", how = "get it"}]

[processes.fast]
native = "fast"

[shapes.grow]
processes = ["all", "fast"]
grows = true
"""


def test_a_native_part_is_known_by_the_contracts_it_answers(tmp_path: Path) -> None:
    manifest = load_manifest(_write(tmp_path, GOOD + NATIVE))

    native = manifest.native_of("shop.goods.v1.GoodsService")
    assert native is manifest.natives["fast"]
    assert native is not None
    assert [need.tool for need in native.needs] == ["make"]
    assert manifest.native_of("shop.goods.v1.OtherService") is None
    assert manifest.shapes["grow"].grows
    assert not manifest.shapes["python"].grows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('language = "rust"', 'language = "python"'), "natives.fast: its language is 'python'"),
        (("[natives.fast]", "[natives.Fast-1]"), "natives.Fast-1: a name is lower case"),
        (("GoodsService", "BadsService"), "natives.fast: no context has the contract 'shop.goods.v1.BadsService'"),
        (('build = ["make"]', "build = []"), "natives.fast.build"),
        (('native = "fast"', 'native = "slow"'), "processes.fast: no native part is called 'slow'"),
        (('native = "fast"', 'native = "fast"\ncontexts = ["goods"]'), "either contexts or one native part"),
        (('native = "fast"', ""), "either contexts or one native part"),
        (('native = "fast"', 'native = "fast"\ngateway = true'), "the gateway is in a process with contexts"),
        (('["all", "fast"]', '["fast"]'), "shapes.grow: shop.goods.v1.GoodsService needs its Python too"),
        (('["all", "fast"]', '["all"]'), "shapes.grow: it grows, but none of its processes is a native part"),
        (('["all", "fast"]', '["all", "fast", "all"]'), "shapes.grow: 'all' is listed twice"),
        (('["all", "fast"]', "[]"), "shapes.grow.processes"),
    ],
)
def test_a_native_part_that_does_not_fit_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = _write(tmp_path, GOOD + NATIVE.replace(*change, 1))

    with pytest.raises(ManifestError) as caught:
        load_manifest(path)

    assert said in str(caught.value)


def test_a_contract_has_one_native_part(tmp_path: Path) -> None:
    again = NATIVE.split("[processes.fast]", maxsplit=1)[0].replace("natives.fast", "natives.again")

    with pytest.raises(ManifestError, match=r"answered by natives\.fast already"):
        load_manifest(_write(tmp_path, GOOD + NATIVE + again))


FRONT = GOOD.replace('contexts = ["goods"]', 'contexts = ["goods"]\ngateway = true')
EDGE = """
[natives.edge]
language = "go"
root = "native"
build = ["go", "build", "-o", "{build}/edge", "./edge"]
binary = "edge"
sources = ["native"]
gateway = true
methods = ["shop.goods.v1.GoodsService/GetGood"]
reads = ["goods"]
databases = ["goods"]

[processes.edge]
native = "edge"

[shapes.outside]
processes = ["all", "edge"]
"""


def test_a_native_part_may_be_the_gateway_and_answer_single_methods(tmp_path: Path) -> None:
    manifest = load_manifest(_write(tmp_path, FRONT + EDGE))

    edge = manifest.edge
    assert edge is not None
    assert edge.targets == ["gateway", "shop.goods.v1.GoodsService/GetGood"]
    assert (edge.reads, edge.databases, edge.contracts) == (["goods"], ["goods"], [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("gateway = true", ""), "natives.edge: it answers nothing"),
        (
            ("gateway = true", 'contracts = ["shop.goods.v1.GoodsService"]'),
            "single methods are answered by the gateway",
        ),
        (
            ("gateway = true", 'gateway = true\ncontracts = ["shop.goods.v1.GoodsService"]'),
            "among its contracts already",
        ),
        (("{build}/edge", "{home}/edge"), "natives.edge.build: there is no {home}; {build} is the folder"),
        (("GoodsService/GetGood", "GoodsService"), "'shop.goods.v1.GoodsService' is no package.Service/Method"),
        (("GoodsService/GetGood", "BadsService/GetBad"), "'shop.goods.v1.BadsService/GetBad' is no package.Service"),
        (('reads = ["goods"]', 'reads = ["bads"]'), "natives.edge.reads: no context is called 'bads'"),
        (('databases = ["goods"]', 'databases = ["bads"]'), "natives.edge.databases: no context is called 'bads'"),
        (('databases = ["goods"]', "connections = 0"), "natives.edge.connections"),
        (('["all", "edge"]', '["edge"]'), "exactly one process with gateway = true is needed, not 0"),
    ],
)
def test_a_gateway_that_does_not_fit_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = _write(tmp_path, FRONT + EDGE.replace(*change, 1))

    with pytest.raises(ManifestError) as caught:
        load_manifest(path)

    assert said in str(caught.value)


def test_one_native_part_is_the_gateway(tmp_path: Path) -> None:
    again = EDGE.split("[processes.edge]", maxsplit=1)[0].replace("natives.edge", "natives.again")

    with pytest.raises(ManifestError, match=r"natives\.again: natives\.edge is the gateway already"):
        load_manifest(_write(tmp_path, FRONT + EDGE + again))
