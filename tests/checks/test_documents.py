"""What the documents say is there, and what the decisions name keeps them."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from tricorn.cli.registry import COMMANDS
from tricorn.contract.codegen import PLATFORM_SOURCE
from tricorn.host.manifest import load_manifest

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *DECISIONS]
NAMES = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
# What the worked examples of CONTRIBUTING make.
MADE = re.compile(r"/wishes\b|/one_category\.json$|^agora/conformance/known_gaps\.toml$")


def prose(name: str) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", (ROOT / name).read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_every_path_a_document_names_exists(name: str) -> None:
    text = prose(name)
    links = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target}
    quoted = {
        word for word in re.findall(r"`([^`\s]+)`", text) if re.match(r"(src|agora|tests|docs|bench)/[\w./-]+$", word)
    }

    missing = {link for link in links if link and not ((ROOT / name).parent / link).exists()}
    missing |= {path for path in quoted if not (ROOT / path).exists() and not MADE.search(path)}

    assert missing == set()
    assert links or name != "ARCHITECTURE.md"


@pytest.mark.parametrize("name", NAMES)
def test_every_test_a_document_names_exists(name: str) -> None:
    named = re.findall(r"`([\w./-]+\.py)::(\w+)`", prose(name))

    missing = [
        f"{path}::{test}" for path, test in named
        if not (ROOT / path).exists() or not re.search(rf"^(async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE)
    ]  # fmt: skip

    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_a_document_names_exists(name: str) -> None:
    named = set(re.findall(r"\./tricorn ([a-z]+)", (ROOT / name).read_text()))

    assert named - COMMANDS.keys() == set()


def options_of(command: Any) -> set[str]:
    """Of a command, or of all those of a group."""
    own = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(options_of(each) for each in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_that_a_document_types_exists(name: str) -> None:
    typed = re.findall(r"\./tricorn ([a-z]+)([^`#|\n]*)", (ROOT / name).read_text())
    wanted = {(command, option) for command, words in typed for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", words)}

    missing = set()
    for command, option in wanted:
        if not COMMANDS[command].raw:
            module, _, attribute = COMMANDS[command].target.partition(":")
            known = options_of(typer.main.get_command(getattr(importlib.import_module(module), attribute)))
            missing |= {(command, option)} - {(command, each) for each in known}

    assert missing == set()


def test_every_case_that_the_page_of_sameness_names_is_played() -> None:
    page = (ROOT / "docs" / "sameness.md").read_text()
    said = re.findall(r"^Cases?: (.*?)\n\n", page, re.DOTALL | re.MULTILINE)
    named = {" ".join(name.split()) for each in said for name in re.findall(r"\*([^*\s]+\s[^*]+)\*", each)}
    files = (ROOT / "agora" / "conformance" / "pricing").glob("*.json")

    cases = {case["name"] for file in files for case in json.loads(file.read_text())["cases"]}

    assert named - cases == set()
    assert len(named) > 10


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_one_page_that_names_what_keeps_it(decision: Path) -> None:
    text = decision.read_text()

    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Context", "Decision", "Consequences", "Alternatives", "Kept by",
    ]  # fmt: skip
    assert text.startswith(f"# {decision.name[:4]}. ")
    assert len(text.splitlines()) <= 60
    assert re.search(r"`tests/|`agora/tests/", text.partition("## Kept by")[2])


def test_decisions_are_numbered_without_gaps() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]


def test_the_page_of_events_names_every_event() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    protos = [*load_manifest(ROOT / "agora").proto_source.root.glob("agora/*/v1/events.proto")]
    events = {
        message
        for proto in protos
        for message in re.findall(r"^message (\w+)", proto.read_text(), re.MULTILINE)
        if not message.endswith("Line")
    }

    assert {event for event in events if event not in page} == set()
    assert len(events) > 5


def test_the_page_of_errors_explains_every_reason() -> None:
    protos = [PLATFORM_SOURCE.root / "tricorn/v1/reason.proto", ROOT / "agora/proto/agora/v1/reason.proto"]
    declared = re.findall(r"REASON_(\w+) = [1-9]", "".join(proto.read_text() for proto in protos))
    explained = re.findall(r"^\| `(\w+)` \| \d{3} \| \w+ \| .{10,} \|$", (ROOT / "docs" / "errors.md").read_text(),
                           re.MULTILINE)  # fmt: skip

    assert explained == declared


def test_sqlalchemy_is_imported_for_alembic_only() -> None:
    users = {
        str(path.relative_to(ROOT))
        for folder in ("src", "agora/src")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"^\s*(from|import) sqlalchemy", path.read_text(), re.MULTILINE)
    }

    assert users == {"src/tricorn/data/alembic_runner.py"}
