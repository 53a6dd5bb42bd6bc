"""One lock, every schema, each migration once, nothing when there is nothing to do."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from tricorn.data import (
    ContextMigrations,
    Database,
    DataError,
    EmbeddedPostgres,
    RoleNames,
    Tool,
    drop_database,
    ensure_database,
    migrate,
)

_ADD_COLOUR = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("alter table pears add column colour text not null default 'green'")


def downgrade() -> None:
    op.execute("alter table pears drop column colour")
"""
_BROKEN = _ADD_COLOUR.replace("alter table pears", "alter table apples")
_ALONE = """
import asyncio, sys
from pathlib import Path
from tricorn.data import ContextMigrations, migrate
from tricorn.data.server import ExternalServer
class Trusting(ExternalServer):
    def password(self, role):
        return None
    def url(self, database, user):
        return self.admin_url(database).replace("postgres@", user + "@")
contexts = [ContextMigrations("pears", Path(sys.argv[3])), ContextMigrations("plums", Path(sys.argv[4]))]
server = Trusting(sys.argv[1], state_dir=Path("unused"))
sys.stdin.readline()
migrated = asyncio.run(migrate(server, sys.argv[2], contexts, prefix="migrated"))
print(len(migrated.steps), migrated.up_to_date, "alembic" in sys.modules)
"""


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    name = f"migrated_{os.urandom(4).hex()}"
    await ensure_database(postgres, name)
    yield name
    await drop_database(postgres, name)


def with_file(context: ContextMigrations, folder: Path, name: str, text: str) -> ContextMigrations:
    assert context.path is not None
    folder.mkdir(exist_ok=True)
    for file in context.path.glob("*.py"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / name).write_text(text, encoding="utf-8")
    return replace(context, path=folder)


async def test_every_schema_gets_its_tables_and_the_platforms_and_a_second_run_does_nothing(
    postgres: EmbeddedPostgres, database: str, orchard: Sequence[ContextMigrations]
) -> None:
    first = await migrate(postgres, database, orchard, prefix="migrated")
    second = await migrate(postgres, database, orchard, prefix="migrated")

    assert [(schema, table) for schema, table, *_ in first.steps] == [
        ("pears", "tricorn_version"),
        ("pears", "alembic_version"),
        ("plums", "tricorn_version"),
        ("plums", "alembic_version"),
    ]
    assert second.up_to_date
    async with Database(postgres.url(database, "migrated_plums_runtime")) as plums:
        assert await plums.fetchval("insert into notes (text) values ('ripe') returning id") == 1
        assert await plums.fetchval("insert into plums (name) values ('Damson') returning id") == 1


async def test_a_new_revision_runs_alone_and_its_column_is_the_runtime_roles_to_write(
    postgres: EmbeddedPostgres, database: str, orchard: Sequence[ContextMigrations], tmp_path: Path
) -> None:
    await migrate(postgres, database, orchard, prefix="migrated")
    grown = [with_file(orchard[0], tmp_path / "pears", "m0002_colour.py", _ADD_COLOUR), orchard[1]]

    migrated = await migrate(postgres, database, grown, prefix="migrated")

    assert migrated.steps == (("pears", "alembic_version", "0001", "0002"),)
    async with Database(postgres.url(database, "migrated_pears_runtime")) as pears:
        await pears.execute("insert into pears (name, weight, colour) values ('Comice', 1, 'red')")


async def test_a_database_that_is_newer_than_the_program_is_refused_and_unchanged(
    postgres: EmbeddedPostgres, database: str, orchard: Sequence[ContextMigrations], tmp_path: Path
) -> None:
    grown = [with_file(orchard[0], tmp_path / "pears", "m0002_colour.py", _ADD_COLOUR), orchard[1]]
    await migrate(postgres, database, grown, prefix="migrated")

    with pytest.raises(DataError, match=r"newer than this program.*'pears' is at revision '0002'.*'0001'"):
        await migrate(postgres, database, orchard, prefix="migrated")

    assert (await migrate(postgres, database, grown, prefix="migrated")).up_to_date


async def test_a_migration_that_fails_names_its_folder_and_what_ran_before_stays(
    postgres: EmbeddedPostgres, database: str, orchard: Sequence[ContextMigrations], tmp_path: Path
) -> None:
    broken = [with_file(orchard[0], tmp_path / "broken", "m0002_apples.py", _BROKEN), orchard[1]]

    with pytest.raises(DataError, match='relation "apples" does not exist') as failure:
        await migrate(postgres, database, broken, prefix="migrated")

    assert failure.value.where == str(tmp_path / "broken")
    mended = await migrate(postgres, database, orchard, prefix="migrated")
    assert [(schema, table) for schema, table, *_ in mended.steps] == [
        ("plums", "tricorn_version"),
        ("plums", "alembic_version"),
    ]


async def test_two_migrators_at_once_run_each_migration_once(
    postgres: EmbeddedPostgres, database: str, orchard: Sequence[ContextMigrations]
) -> None:
    command = [sys.executable, "-c", _ALONE, postgres.admin_url(), database, *(str(each.path) for each in orchard)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run() -> "subprocess.Popen[str]":
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    migrators = [run() for _ in range(3)]
    answers = await asyncio.gather(*(asyncio.to_thread(each.communicate, "go\n", 60) for each in migrators))

    assert sorted(answer.strip() for answer, _ in answers) == ["0 True False", "0 True False", "2 False True"]


async def test_a_context_with_a_tool_of_its_own_is_migrated_by_it_as_the_owner_and_only_when_something_is_new(
    postgres: EmbeddedPostgres, database: str
) -> None:
    runs: list[str] = []

    def run(url: str, schema: str) -> None:
        async def create() -> None:
            connection = await asyncpg.connect(url)
            await connection.execute("create table if not exists figs (id int)")
            await connection.close()

        runs.append(schema)
        asyncio.run(create())

    for print_ in ("one", "one", "two"):
        await migrate(postgres, database, [ContextMigrations("figs", tool=Tool(run, print_))], prefix="migrated")

    assert runs == ["figs", "figs"]
    async with Database(postgres.url(database, "migrated_figs_runtime")) as figs:
        assert await figs.execute("insert into figs values (1)") == "INSERT 0 1"


async def test_extensions_are_found_by_every_context(postgres: EmbeddedPostgres, database: str) -> None:
    await migrate(postgres, database, [ContextMigrations("figs", extensions=("pg_trgm",))], prefix="migrated")

    async with Database(postgres.url(database, "migrated_figs_runtime")) as figs:
        assert await figs.fetchval("select similarity('fig', 'fig') = 1")


async def test_the_roles_come_back_when_only_the_database_was_carried_to_another_server(
    postgres: EmbeddedPostgres, database: str, orchard: Sequence[ContextMigrations]
) -> None:
    await migrate(postgres, database, orchard, prefix="carried")
    async with Database(postgres.admin_url(database)) as admin:
        role = RoleNames("carried").runtime("plums")
        await admin.execute(f"drop owned by {role}")
        await admin.execute(f"drop role {role}")

    assert not (await migrate(postgres, database, orchard, prefix="carried")).up_to_date

    async with Database(postgres.url(database, role)) as plums:
        assert await plums.fetchval("select count(*) from plums") == 0
