"""What the documents say is there, and what the decisions name keeps them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
