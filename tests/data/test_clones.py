"""Copies of one migrated database."""

import asyncio
from collections.abc import Sequence

from tricorn.data import Clones, ContextMigrations, Database, EmbeddedPostgres
from tricorn.data.testing import DatabaseFactory


async def database_names(postgres: EmbeddedPostgres, prefix: str) -> list[str]:
    async with Database(postgres.admin_url()) as admin:
        rows = await admin.fetch("select datname from pg_database where starts_with(datname, $1) order by 1", prefix)
    return [row["datname"] for row in rows]


async def test_copies_do_not_see_each_others_rows(
    database_factory: DatabaseFactory, orchard: Sequence[ContextMigrations]
) -> None:
    async with (
        database_factory(orchard) as one,
        database_factory(orchard) as other,
        one.connect("pears") as here,
        other.connect("pears") as there,
    ):
        await here.execute("insert into pears (name, weight) values ('Comice', 1)")

        assert await there.fetchval("select count(*) from pears") == 0


async def test_a_copy_is_gone_after_its_block_even_when_somebody_is_still_connected(
    postgres: EmbeddedPostgres, orchard: Sequence[ContextMigrations]
) -> None:
    clones = Clones(postgres, orchard, prefix="gone")
    async with clones.clone() as name:
        connected = Database(clones.url(name, "pears"))
        await connected.open()

    assert await database_names(postgres, "gone") == [await clones.template()]
    await connected.close()


async def test_a_template_is_made_once_and_filled_once_by_however_many(
    postgres: EmbeddedPostgres, orchard: Sequence[ContextMigrations]
) -> None:
    fills: list[str] = []

    def factory() -> Clones:
        async def fill(name: str) -> None:
            fills.append(name)
            async with Database(postgres.url(name, "filled_pears_runtime")) as pears:
                await pears.execute("insert into pears (name, weight) values ('Comice', 1)")

        return Clones(postgres, orchard, prefix="filled", fill=fill, fill_key="comice")

    clones = [factory() for _ in range(3)]
    await asyncio.gather(*(each.template() for each in clones))

    assert len(fills) == 1
    async with clones[0].clone() as name, Database(clones[0].url(name, "pears")) as pears:
        assert await pears.fetchval("select name from pears") == "Comice"


async def test_a_template_whose_filling_fails_is_not_left_behind(
    postgres: EmbeddedPostgres, orchard: Sequence[ContextMigrations]
) -> None:
    async def fail(_: str) -> None:
        raise ValueError("no rows today")

    clones = Clones(postgres, orchard, prefix="failed", fill=fail)

    results = await asyncio.gather(clones.template(), return_exceptions=True)

    assert isinstance(results[0], ValueError)
    assert await database_names(postgres, "failed") == []
