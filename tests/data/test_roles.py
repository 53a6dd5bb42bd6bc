"""Who may read and write what."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import asyncpg
import pytest

from tricorn.data import ContextMigrations, Database, DataError, RoleNames
from tricorn.data.testing import ClonedDatabase, DatabaseFactory


@pytest.fixture
async def cloned(
    database_factory: DatabaseFactory, orchard: Sequence[ContextMigrations]
) -> AsyncIterator[ClonedDatabase]:
    async with database_factory(orchard) as cloned:
        yield cloned


@pytest.fixture
async def plums(cloned: ClonedDatabase) -> AsyncIterator[Database]:
    async with cloned.connect("plums") as database:
        yield database


@pytest.mark.parametrize(
    "sql",
    [
        "select * from pears.pears",
        "insert into pears.pears (name, weight) values ('Comice', 1)",
        "select nextval('pears.pears_id_seq')",
        "select * from pears.notes",
        "insert into published.pear_v1 (name) values ('Comice')",
        "drop view published.pear_v1",
        "set role test_pears_owner",
        "select * from tricorn.state",
    ],
)
async def test_what_belongs_to_another_context_is_denied(plums: Database, sql: str) -> None:
    with pytest.raises(
        (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError), match=r"permission|must"
    ):
        await plums.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "create table plums.more (id int)",
        "alter table plums add column more int",
        "drop table plums",
        "truncate plums",
        "create table public.more (id int)",
        "create view published.plum_v1 as select 1 as id",
        "create schema more",
        "update alembic_version set version_num = '0002'",
        "delete from tricorn_version",
    ],
)
async def test_the_runtime_role_changes_rows_and_nothing_else(plums: Database, sql: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await plums.execute(sql)


async def test_a_context_reads_what_another_has_published(cloned: ClonedDatabase, plums: Database) -> None:
    async with cloned.connect("pears") as pears:
        await pears.execute("insert into pears (name, weight) values ('Conference', 180)")

    assert await plums.fetchval("select name from published.pear_v1") == "Conference"


@pytest.fixture
async def window(database_factory: DatabaseFactory, orchard: Sequence[ContextMigrations]) -> AsyncIterator[Database]:
    """The database as it is seen by one who may see what pears publishes."""
    watched = [replace(each, viewers=("window",)) if each.name == "pears" else each for each in orchard]
    async with database_factory(watched) as cloned, cloned.connect("pears") as pears:
        await pears.execute("insert into pears (name, weight) values ('Conference', 180)")
        async with Database(cloned.viewer_url("window"), size=1, name="window") as seen:
            yield seen


async def test_a_viewer_reads_what_its_contexts_publish(window: Database) -> None:
    assert await window.fetchval("select name from pear_v1") == "Conference"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from pears.pears",
        "select * from plums.plums",
        "insert into pear_v1 (name) values ('Comice')",
        "create table published.more (id int)",
        "create temporary table more (id int) on commit drop; insert into pear_v1 (name) values ('Comice')",
        "set role test_pears_runtime",
        "select * from tricorn.state",
    ],
)
async def test_a_viewer_does_nothing_else(window: Database, sql: str) -> None:
    with pytest.raises(
        (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError, asyncpg.ReadOnlySQLTransactionError)
    ):
        await window.execute(sql)


async def test_a_viewer_does_not_see_what_other_contexts_publish(
    database_factory: DatabaseFactory, orchard: Sequence[ContextMigrations]
) -> None:
    watched = [replace(each, viewers=("window",)) if each.name == "plums" else each for each in orchard]

    async with database_factory(watched) as cloned, Database(cloned.viewer_url("window"), size=1) as seen:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await seen.fetchval("select name from published.pear_v1")


def test_a_role_name_that_postgresql_would_cut_is_refused() -> None:
    names = RoleNames("a" * 50)

    with pytest.raises(DataError, match="longer than"):
        names.runtime("recommendations")
