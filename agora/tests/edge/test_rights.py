"""What the edge may see in the database: what is published, and nothing else."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from edge_process import MANIFEST

from tricorn.data import Clones, Database

READS = MANIFEST.natives["edge"].reads


@pytest.fixture
async def seen(clones: Clones) -> AsyncIterator[Database]:
    async with clones.clone() as name:
        url = clones.server.url(name, clones.names.viewer("edge"))
        async with Database(url, size=1, name="edge") as database:
            yield database


@pytest.mark.parametrize(
    "view",
    [
        "user_v1", "accounts_events_v1", "product_v1", "product_search_v1", "category_v1", "catalog_events_v1",
        "stock_v1", "demand_day_v1", "customer_v1",
    ],
)  # fmt: skip
async def test_the_edge_reads_what_it_needs(seen: Database, view: str) -> None:
    assert await seen.fetchval(f"SELECT count(*) FROM published.{view}") == 0


async def test_words_are_folded_as_the_catalogue_folds_them(seen: Database) -> None:
    assert await seen.fetchval("SELECT published.fold_v1('L''Été: A Café')") == "l ete a cafe"


@pytest.mark.parametrize("context", READS)
async def test_the_edge_reads_no_table(seen: Database, context: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await seen.fetchval(f"SELECT count(*) FROM {context}.outbox")


@pytest.mark.parametrize("statement", ["UPDATE published.product_v1 SET title = ''", "DELETE FROM published.user_v1"])
async def test_the_edge_changes_nothing(seen: Database, statement: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
        await seen.execute(statement)


async def test_published_events_are_those_that_others_must_hear_of(clones: Clones) -> None:
    async with clones.clone() as name:
        async with Database(clones.server.url(name, clones.names.runtime("accounts")), size=1) as accounts:
            for kind in (
                "tricorn.v1.SessionRevoked",
                "agora.accounts.v1.UserUpdated",
                "agora.accounts.v1.UserRegistered",
            ):
                await accounts.execute(
                    """
                    INSERT INTO outbox (id, type, subject, sequence, partition, traceparent, causation, data)
                    VALUES (gen_random_uuid(), $1, $1, 1, 0, '', '', '')
                    """,
                    kind,
                )
        async with Database(clones.server.url(name, clones.names.viewer("edge")), size=1) as seen:
            rows = await seen.fetch("SELECT type FROM published.accounts_events_v1 ORDER BY position")

    assert [row["type"] for row in rows] == ["tricorn.v1.SessionRevoked", "agora.accounts.v1.UserUpdated"]
