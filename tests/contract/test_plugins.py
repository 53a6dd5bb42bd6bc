"""What a `buf.gen.yaml` lists, and what of it can be made here."""

from pathlib import Path

import pytest

from tricorn.contract.codegen import CodegenError
from tricorn.contract.plugins import GO_PLATFORM, TEMPLATE, missing_program, read_template


def write(folder: Path, text: str) -> Path:
    file = folder / "proto" / TEMPLATE
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_a_template_names_its_programs_and_where_it_writes(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "version: v2\nplugins:\n  - local: [go, tool, protoc-gen-go]\n    out: ../native/gen\n  - local: protoc-gen-es\n    out: ../web",
    )

    found = read_template(file, tmp_path)

    assert found is not None
    assert found.programs == {"go", "protoc-gen-es"}
    assert found.outputs == (tmp_path / "native/gen", tmp_path / "web")


@pytest.mark.parametrize("text", ["version: v2\n", "version: v2\nplugins: []\n"])
def test_a_template_without_plugins_is_none(tmp_path: Path, text: str) -> None:
    assert read_template(write(tmp_path, text), tmp_path) is None
    assert read_template(tmp_path / "nowhere.yaml", tmp_path) is None


@pytest.mark.parametrize(
    "text", ["- a list", "plugins: 7", "plugins:\n  - remote: buf.build/x\n    out: gen", "plugins: [", "{"]
)
def test_a_template_that_makes_no_sense_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(CodegenError, match=TEMPLATE):
        read_template(write(tmp_path, text), tmp_path)


def test_nothing_is_written_outside_the_application(tmp_path: Path) -> None:
    file = write(tmp_path / "app", "plugins:\n  - local: protoc-gen-go\n    out: ../../gen")

    with pytest.raises(CodegenError, match="writes outside"):
        read_template(file, tmp_path / "app")


def test_a_program_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_template(write(tmp_path, "plugins:\n  - local: [go, tool, x]\n    out: gen"), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert found is not None
    assert missing_program(found) == "there is no go"


def test_the_platform_has_a_template_of_its_own() -> None:
    found = read_template(GO_PLATFORM / TEMPLATE, GO_PLATFORM)

    assert found is not None
    assert found.outputs == (GO_PLATFORM,)
