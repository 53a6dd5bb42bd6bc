"""Go's own tests of inventory, with a database like that of Python's; and that its SQL is what is tested here."""

import ast
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tricorn.host.testing import TestApp

AGORA = Path(__file__).parents[3]
NATIVE = AGORA / "native"
POSTGRES = NATIVE / "inventory" / "postgres"
GO_SECONDS = 900


@pytest.mark.slow
def test_its_own_tests_pass_with_a_database_and_none_is_left_out(app: TestApp, go: str) -> None:
    done = subprocess.run(
        [go, "test", "-race", "-count=1", "-json", "./inventory/..."],
        cwd=NATIVE,
        env={**os.environ, "TRICORN_DATABASE_INVENTORY": app.database("inventory").url},
        capture_output=True,
        text=True,
        timeout=GO_SECONDS,
        check=False,
    )

    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    said = "".join(event.get("Output", "") for event in events)
    assert done.returncode == 0, said + done.stderr
    skipped = [event["Test"] for event in events if event["Action"] == "skip" and "Test" in event]
    assert skipped == []
    assert any(event["Action"] == "pass" and "postgres" in event["Package"] for event in events)


def test_the_generated_statements_are_those_that_are_written() -> None:
    written = _statements((POSTGRES / "queries.sql").read_text())
    code = (POSTGRES / "queries" / "queries.sql.go").read_text()
    generated = {
        name: re.sub(r"\s+", " ", body).strip()
        for name, body in re.findall(r"`-- name: (\w+) :\w+\n(.*?)`", code, re.DOTALL)
    }

    assert {name: _positional(body) for name, body in written.items()} == generated


def test_its_schema_is_that_of_the_migrations() -> None:
    migrations = AGORA / "src" / "agora" / "inventory" / "migrations"
    made = [
        node.value
        for path in sorted(migrations.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    tables = [_plain(statement) for statement in made if "CREATE TABLE" in statement]
    altered = [statement for statement in made if re.search(r"ALTER TABLE", statement)]

    schema = re.sub(r"^--.*$", "", (POSTGRES / "schema.sql").read_text(), flags=re.MULTILINE)
    known = [_plain(statement) for statement in schema.split(";") if statement.strip()]
    assert known == tables
    assert altered == []


def _plain(statement: str) -> str:
    return re.sub(r"\s+", " ", statement).strip()


def _statements(text: str) -> dict[str, str]:
    parts = re.split(r"^-- name: (\w+) :\w+$", text, flags=re.MULTILINE)
    bodies = (re.sub(r"^--.*$", "", body, flags=re.MULTILINE) for body in parts[2::2])
    return {name: _plain(body).rstrip(";") for name, body in zip(parts[1::2], bodies, strict=True)}


def _positional(statement: str) -> str:
    """With the parameters numbered as they first come."""
    numbers: dict[str, int] = {}
    pattern = re.compile(r"(?:@(\w+))|(?:sqlc\.narg\((\w+)\))")

    def number(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return pattern.sub(number, statement)
